"""What `tidegate simulate` replays, and the world it replays it in: virtual time, no sockets."""
