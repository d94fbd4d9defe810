"""The ladder to zero counts from the last activity and is exact."""

import math

import pytest

from autoscaler.idle import Ladder, Rung
from config.scaling import Idle, Scaling

NO_HOLD = -math.inf
A, F, S = Rung.AWAKE, Rung.FROZEN, Rung.STOPPED


@pytest.mark.parametrize(
    ("freeze_after", "stop_after", "rungs"),
    [
        #            at 0, 4.9, 5, 59.9, 60, 1e9 seconds after the last activity
        (None, 60.0, [A, A, A, A, S, S]),
        (5.0, 60.0, [A, A, F, F, S, S]),
        (5.0, None, [A, A, F, F, F, F]),
        (None, None, [A, A, A, A, A, A]),
        (0.0, 60.0, [F, F, F, F, S, S]),
        (60.0, 5.0, [A, A, S, S, S, S]),
    ],
)
def test_each_rung_is_reached_its_time_after_the_last_activity(
    freeze_after: float | None, stop_after: float | None, rungs: list[Rung]
) -> None:
    ladder = Ladder(freeze_after, stop_after)
    seconds = (0, 4.9, 5, 59.9, 60, 1e9)
    assert [ladder.rung(100.0, NO_HOLD, 100.0 + idle) for idle in seconds] == rungs


def test_the_next_step_is_the_first_that_is_still_to_come() -> None:
    ladder = Ladder(5.0, 60.0)
    steps = [ladder.next_step(100.0, NO_HOLD, now) for now in (100.0, 105.0, 160.0)]
    assert steps == [105.0, 160.0, math.inf]


def test_a_hold_delays_the_stop_but_not_the_freeze() -> None:
    ladder = Ladder(5.0, 10.0)
    assert [ladder.rung(100.0, 160.0, now) for now in (104, 105, 110, 159, 160)] == [A, F, F, F, S]
    assert ladder.next_step(100.0, 160.0, 105.0) == 160.0


def test_replicas_kept_by_min_are_never_frozen() -> None:
    scaling = Scaling(min=2, idle=Idle(freeze_after=5.0, stop_after=60.0))
    assert Ladder.of(scaling, 60.0, scaling.min) == Ladder(None, 60.0)


def test_a_service_without_any_activity_stands_on_the_last_rung() -> None:
    assert Ladder(5.0, 60.0).rung(-math.inf, NO_HOLD, 0.0) is S
    assert Ladder(None, None).rung(-math.inf, NO_HOLD, 0.0) is A
