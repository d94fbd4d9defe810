"""What the simulator says of the policies, and what it costs itself."""
