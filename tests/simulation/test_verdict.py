"""Better on what it never saw, or not, and why."""

import pytest

from simulation.objective import METRICS, objective
from simulation.verdict import verdict

NOW = dict.fromkeys(METRICS, 0.0) | {"cost": 10.0, "p99 wait": 0.4}


@pytest.mark.parametrize(
    ("cost", "wait", "wait_now", "is_better", "says"),
    [
        (8.0, 0.3, 0.4, True, "cost is 20.0% less"),
        (9.95, 0.3, 0.4, False, "only 0.5% less"),
        (10.0, 0.3, 0.4, False, "no less"),
        (8.0, 0.612, 0.4, False, "misses p99 wait < 500ms (612ms)"),
        (8.0, 0.7, 0.6, False, "no nearer than the present rules"),
        (12.0, 0.6, 0.7, True, "the present rules do more so: p99 wait < 500ms (700ms)"),
        (12.0, 0.4, 0.7, True, "meets all limits"),
    ],
)
def test_a_verdict(cost: float, wait: float, wait_now: float, is_better: bool, says: str) -> None:
    aim = objective("p99 wait < 500ms, least cost")
    chosen = NOW | {"cost": cost, "p99 wait": wait}
    told = verdict(aim, NOW | {"p99 wait": wait_now}, chosen)
    assert told.is_better == is_better
    assert says in told.says


def test_where_the_present_rules_cost_nothing_nothing_is_better() -> None:
    free = NOW | {"cost": 0.0}
    assert not verdict(objective("least cost"), free, NOW).is_better
    assert not verdict(objective("least cost"), free, free).is_better
