"""Both sides of a comparison, service by service, and what becomes of it under other premises."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoscaler.decider import TICK
from loadtests.agreement.compared import Row, Side, rows
from loadtests.agreement.lives import Lives
from loadtests.agreement.real import Real
from loadtests.agreement.simulated import simulated
from loadtests.agreement.trace import Part, Trace

_PHASES = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """`sides` are the real and the simulated one of each service."""

    sides: Mapping[str, tuple[Side, Side]]

    @property
    def whole(self) -> list[Row]:
        real, told = zip(*self.sides.values(), strict=True)
        return rows(sum(real, Side()), sum(told, Side()))

    @property
    def holds(self) -> bool:
        """All bars for all services together; cold starts also for each."""
        return all(row.holds for row in self.whole) and all(
            real.cold_starts == told.cold_starts for real, told in self.sides.values()
        )


def agreement(trace: Trace, real: Real) -> Agreement:
    return Agreement(
        {
            part.name: (_real(real, part), _simulated(trace, part, real.lives[part.name]))
            for part in trace.parts
        }
    )


def on_average(trace: Trace, lives: Mapping[str, Lives]) -> Side:
    """All services together, if nothing but the means of starts and stops were known."""
    return _together(trace, {name: one.average for name, one in lives.items()})


def phases(trace: Trace, lives: Mapping[str, Lives]) -> list[Side]:
    """All services together, the traffic begun at other moments between two ticks."""
    moments = (number * TICK / _PHASES for number in range(_PHASES))
    return [_together(replace(trace, later=later), lives) for later in moments]


def _together(trace: Trace, lives: Mapping[str, Lives]) -> Side:
    return sum((_simulated(trace, part, lives[part.name]) for part in trace.parts), Side())


def _real(real: Real, part: Part) -> Side:
    answers = [answer for answer in real.answers if answer.service == part.name]
    return Side(
        real.replica_seconds.get(part.name, 0.0),
        real.cold_starts.get(part.name, 0.0),
        real.starts.get(part.name, 0.0),
        real.actions(part.name),
        sum(answer.status != 200 for answer in answers),
        [answer.waited for answer in answers],
    )


def _simulated(trace: Trace, part: Part, lives: Lives) -> Side:
    told = simulated(trace, part, lives)
    at_once = [0.0] * (told.requests - len(told.waits))
    return Side(
        told.replica_seconds, told.cold_starts, told.starts, told.actions,
        told.requests - told.statuses.get(200, 0), [*told.waits, *at_once],
    )  # fmt: skip
