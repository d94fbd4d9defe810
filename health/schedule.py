"""When to probe next.

Pure, the random source is injected. While a replica starts, somebody waits: the first try is made
at once, the second 1 ms later, and the pause grows up to `startup.every`. Repeated probes are
spread over their period, so that many replicas are never probed in one burst.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.health import Check
from health.duties import is_tcp

if TYPE_CHECKING:
    from random import Random

SHORTEST_PAUSE = 0.001
GROWTH = 1.6
# A refused connection costs the replica nothing (its kernel answers) and us some 40 microseconds,
# so its pause may stay below a tenth of the time waited so far: a port that opens after 100 ms is
# found 5 ms later on average. With the growth of the other checks that would be 20 ms.
TCP_GROWTH = 1.1
# An address that is not up yet swallows the first packet, and the kernel sends it again only after
# a second. A new try is quicker; its patience grows, so that a distant replica is found as well.
FIRST_PATIENCE = 0.02
# Tries a second of all starts together, by what one costs: a connection, a request, a call of the
# engine. While many start at once each is tried less often; one alone never waits for this.
CONNECTIONS, REQUESTS, COMMANDS = 2000, 500, 20
JITTER = 0.1
SHORTEST_PERIOD = 0.01


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a start: seconds to wait before it, and seconds it may take."""

    pause: float
    patience: float


FIRST_TRY = Try(0.0, FIRST_PATIENCE)


def next_try(former: Try, check: Check, longest: float, crowd: int = 1) -> Try:
    """`longest` bounds the pause (seconds), but for what a `crowd` of starts has to wait."""
    growth = TCP_GROWTH if is_tcp(check) else GROWTH
    least = max(SHORTEST_PAUSE, (crowd - 1) / _tries_a_second(check))
    pause = max(least, min(former.pause * growth, longest))
    return Try(pause, min(former.patience * GROWTH, 3600.0))


def timeout_of(one: Try, check: Check) -> float:
    """Seconds. Only a connection may be given up early: a slow answer is not a lost packet."""
    return min(one.patience, check.timeout) if is_tcp(check) else check.timeout


def _tries_a_second(check: Check) -> int:
    if check.exec is not None:
        return COMMANDS
    return CONNECTIONS if is_tcp(check) else REQUESTS


def first_due(every: float, rng: "Random", now: float) -> float:
    """Anywhere in the first period."""
    return now + rng.uniform(0, every)


def next_due(due: float, every: float, rng: "Random", now: float) -> float:
    """A period after the former due time, or up to a tenth of it less: a hang is noticed within
    period x failures and the timeout, so no round is late by choice. One that the former probe has
    held up is made at once. After missed rounds (a loop that stood still) anywhere in the next
    period: what was missed is not made up for in one burst."""
    following = due + every * rng.uniform(1 - JITTER, 1)
    if now - following < every:
        return max(following, now)
    return now + max(SHORTEST_PERIOD, rng.uniform(0, every))
