"""What came of a decision: how many replicas were there in the end, how soon, or why not.

Pure. A decision is followed until what it wants is there, or until the next one changes it. A way
up is at its end when so many are ready, a way down when no more exist, a freeze when they sleep.
"""

from dataclasses import dataclass
from enum import StrEnum

from autoscaler.news import count_of

LONGEST_TROUBLE = 200  # letters


class Way(StrEnum):
    UP = "up"
    DOWN = "down"
    FREEZE = "freeze"


class Stage(StrEnum):
    OPEN = "open"  # on its way
    REACHED = "reached"
    REPLACED = "replaced"  # another decision came first


@dataclass(frozen=True, slots=True)
class Presence:
    """The replicas of a service now: ready, frozen, and all that have not ended. `trouble` says why
    none can be started, if so."""

    ready: int = 0
    frozen: int = 0
    present: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """`there` of `wanted` replicas, `seconds` after the decision."""

    way: Way
    wanted: int
    there: int
    seconds: float
    stage: Stage = Stage.OPEN
    trouble: str = ""

    @property
    def says(self) -> str:
        """A sentence for an operator."""
        after = f"after {_shown(self.seconds)}"
        if self.stage is Stage.REACHED:
            told = f"{self._reached} {after}"
            return f"{told}; on the way: {self.trouble}" if self.trouble else told
        when = "so far, " if self.stage is Stage.OPEN else "when the next decision came "
        told = f"{self._missed} {when}{after}"
        return f"{told}: {self.trouble}" if self.trouble else told

    def to_dict(self) -> dict[str, object]:
        """For programs."""
        return {
            "there": self.there,
            "wanted": self.wanted,
            "seconds": round(self.seconds, 3),
            "stage": self.stage.value,
            "trouble": self.trouble or None,
            "says": self.says,
        }

    @property
    def _reached(self) -> str:
        match self.way:
            case Way.UP:
                return f"{count_of(self.there)} ready"
            case Way.DOWN:
                return f"{count_of(self.there)} left" if self.there else "no replica left"
            case Way.FREEZE:
                return f"{count_of(self.there)} frozen"

    @property
    def _missed(self) -> str:
        if self.way is Way.DOWN:
            return f"still {count_of(self.there)} instead of {self.wanted}"
        state = "ready" if self.way is Way.UP else "frozen"
        return f"{self.there or 'none'} of {self.wanted} {state}"


def way_of(before: int, replicas: int, frozen: bool, was_frozen: bool) -> Way | None:
    """None: the replicas stay as they are."""
    if frozen and not was_frozen:
        return Way.FREEZE
    if replicas > before or (was_frozen and not frozen and replicas):
        return Way.UP
    return Way.DOWN if replicas < before else None


def follow(result: Result, seen: Presence, seconds: float, known: str = "") -> Result:
    """The same result, as far as it is now.

    A trouble on the way is remembered, but not one that was `known` before the decision.
    """
    there = {Way.UP: seen.ready, Way.DOWN: seen.present, Way.FREEZE: seen.frozen}[result.way]
    down = result.way is Way.DOWN
    reached = there <= result.wanted if down else there >= result.wanted
    stage = Stage.REACHED if reached else result.stage
    trouble = "" if down else (seen.trouble[:LONGEST_TROUBLE] or result.trouble)
    if reached and trouble == known:
        trouble = ""
    return Result(result.way, result.wanted, there, seconds, stage, trouble)


def _shown(seconds: float) -> str:
    """As short as it may be and still be true: 40ms, 1.3s, 45s, 2m10s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
