"""How many users there are at each second of a load test.

Times are shares of the whole, so a shape keeps its form whatever the duration.
"""

from dataclasses import dataclass

USERS = 20
CROWD = 100
HERD = 100


@dataclass(frozen=True, slots=True)
class Load:
    """So many users, reached by starting (or ending) at most `rate` of them a second."""

    users: int
    rate: float


def steady(share: float) -> Load:
    """The same users from the start to the end."""
    return Load(USERS, rate=USERS)


def spike(share: float) -> Load:
    """A few, then suddenly a crowd for the middle third, then a few again."""
    return Load(CROWD, rate=CROWD) if 1 / 3 <= share < 2 / 3 else Load(5, rate=CROWD)


def herd(share: float) -> Load:
    """Everybody at once, while all services are still asleep."""
    return Load(HERD, rate=HERD)


SHAPES = {"steady": steady, "spike": spike, "herd": herd}
