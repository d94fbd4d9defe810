"""When clients are turned away for lack of memory, and when no longer.

Pure. Two things must come together: the limit is nearly reached, and a good part of it is what
clients cost, beyond what the gateway had when it began. Without the second one, replicas that share
the limit and need most of it would shut the gateway for good, and nothing would be gained by it.
It ends a little below where it begins, and not at once, or it would soon begin again.
"""

from dataclasses import dataclass

PART = 0.1  # of the limit
BACK = 0.05  # of the limit, below the share at which it begins
LEAST = 1.0  # seconds, as those who are refused are told to stay away
_FASTEST = 256 * 2**20  # bytes a second: more than one process reads
_SHORTEST, _LONGEST = 0.02, 0.25
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Facts:
    """In bytes. `grown`: about what all gateway processes have beyond what they began with."""

    limit: int
    used: int
    grown: int

    def __str__(self) -> str:
        used = f"{self.used / _MIB:.0f}MiB of {self.limit / _MIB:.0f}MiB are used"
        return f"{used}, about {max(0, self.grown) / _MIB:.0f}MiB of it for clients"


def sheds(facts: Facts, share: float, shed_for: float | None) -> bool:
    """Whether to shed from now on. `share` is of the limit; `shed_for` so many seconds it did,
    None: it did not."""
    if shed_for is None:
        return facts.used >= share * facts.limit and facts.grown >= PART * facts.limit
    return shed_for < LEAST or (facts.used >= (share - BACK) * facts.limit and is_much(facts))


def is_much(facts: Facts) -> bool:
    """Whether clients cost enough to go on, once begun."""
    return facts.grown >= PART / 2 * facts.limit


def pause(facts: Facts, share: float) -> float:
    """Seconds until the next look: before it can have come to that."""
    room = max(share * facts.limit - facts.used, PART * facts.limit - facts.grown)
    return min(_LONGEST, max(_SHORTEST, room / _FASTEST))
