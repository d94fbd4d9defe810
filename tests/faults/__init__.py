"""Faults on real replicas while load runs, with every request accounted for."""
