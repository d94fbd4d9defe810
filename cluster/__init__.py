"""The world: what should run, what runs, and how to get from one to the other."""
