"""The ladder down to zero: awake, frozen, stopped, each a while after the last activity.

Pure. Only this ladder brings a service to zero: the formula alone never does. A request in flight
or queued is activity. A service with `min` replicas keeps those awake: its ladder has no frozen
rung, and the last one leads to `min` instead of zero.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from config.scaling import Scaling


class Rung(StrEnum):
    AWAKE = "awake"
    FROZEN = "frozen"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Ladder:
    """Seconds after the last activity; None never happens."""

    freeze_after: float | None
    stop_after: float | None

    @classmethod
    def of(cls, scaling: Scaling, stop_after: float | None, least: int) -> Self:
        """`stop_after` is that of the way of deciding, `least` are the replicas that are to be kept
        awake now."""
        freeze_after = scaling.idle.freeze_after if least == 0 else None
        return cls(freeze_after, stop_after)

    def rung(self, last_activity: float, hold: float, now: float) -> Rung:
        """Where an idle service stands; not stopped before `hold` (loop time)."""
        freeze_at, stop_at = self._steps(last_activity, hold)
        if now >= stop_at:
            return Rung.STOPPED
        return Rung.FROZEN if now >= freeze_at else Rung.AWAKE

    def next_step(self, last_activity: float, hold: float, now: float) -> float:
        """When the next step down is due (loop time), infinity if there is none."""
        return min((at for at in self._steps(last_activity, hold) if at > now), default=math.inf)

    def _steps(self, last_activity: float, hold: float) -> tuple[float, float]:
        freeze_at = math.inf if self.freeze_after is None else last_activity + self.freeze_after
        stop_at = math.inf if self.stop_after is None else last_activity + self.stop_after
        return freeze_at, max(stop_at, hold)
