"""Whatever runs replicas, behind one port: a driver for each kind of engine."""
