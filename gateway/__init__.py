"""The data path: requests come in, are bound to a replica with room, and go through."""
