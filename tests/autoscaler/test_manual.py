"""By hand: zero to max, for a while or for good."""

import math

import pytest

from autoscaler.manual import Override, override
from config.scaling import Scaling

RULES = Scaling(min=2, max=5)


@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_the_operator_may_go_below_min_and_up_to_max(replicas: int) -> None:
    assert override(replicas, None, RULES, 100.0) == Override(replicas, math.inf)


@pytest.mark.parametrize("replicas", [-1, 6])
def test_out_of_bounds_is_refused_with_the_max_named(replicas: int) -> None:
    with pytest.raises(ValueError, match=rf"between 0 and scaling\.max \(5\), got {replicas}"):
        override(replicas, None, RULES, 100.0)


@pytest.mark.parametrize("more", [{"max": 8}, {"replicas": 8}])
def test_up_to_what_a_schedule_raises_max_to(more: dict[str, int]) -> None:
    night = {"schedule": "0 23 * * *", "until": "0 7 * * *", **more}
    rules = Scaling.model_validate({"max": 5, "rules": [{"metric": "concurrency"}, night]})
    assert override(8, None, rules, 0.0).replicas == 8
    with pytest.raises(ValueError, match=r"the largest max of scaling\.rules \(8\), got 9"):
        override(9, None, rules, 0.0)


@pytest.mark.parametrize("duration", [0.0, -1.0, math.nan])
def test_a_duration_must_last(duration: float) -> None:
    with pytest.raises(ValueError, match="longer than 0"):
        override(1, duration, RULES, 100.0)


def test_it_expires_at_its_moment() -> None:
    asked = override(3, 600.0, RULES, 100.0)
    assert [asked.has_expired(now) for now in (100.0, 699.9, 700.0)] == [False, False, True]
    assert asked.reason(100.0) == "3 by hand for another 10m"
    assert Override(0).reason(1e9) == "0 by hand"
