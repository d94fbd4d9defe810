"""Seeded randomness: the only place of the traffic where generators are made."""

import random

from simulation.traffic import Dice


def seeded(seed: int, purpose: str = "") -> Dice:
    """Generators that all roll the same numbers.

    Each `purpose` has numbers of its own, so that two sources of one simulation do not move in
    step. The numbers stay the same from one run and one machine to the next.
    """
    return lambda: random.Random(f"{seed} {purpose}")
