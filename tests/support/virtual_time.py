"""Virtual time for tests: the simulator's own clock."""

from simulation.clock import Deadlock, VirtualTimeLoop, run

__all__ = ["Deadlock", "VirtualTimeLoop", "run"]
