"""The rule about waits: more by Little's law, fewer only as far as is known, else held."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.queueing import Queueing
from autoscaler.sight import Counted, Sight
from cluster.buckets import EDGES
from config.rules import QueueWaitRule

RULE = QueueWaitRule(metric="queue_wait", percentile=95.0, target=0.1)


def waiting(
    wait: float,
    *,
    ready: int = 2,
    desired: int = 2,
    rate: float = 100.0,
    number: int = 100,
    served: float = 0.1,
) -> Sight:
    """All of them waited as long; each is then served for `served` seconds."""
    seen = Counted({bisect_left(EDGES, wait): number}, 6.0)
    return Sight(
        ready, desired, demand=rate, rate=rate, concurrency=9.0, fast=seen, service_time=served
    )


def wish(seen: Sight, rule: Queueing | None = None) -> int | None:
    return (rule or Queueing(RULE)).look(seen).wish


def test_no_load_wishes_nothing() -> None:
    assert wish(Sight(2, 2)) == 0


def test_load_that_never_waited_holds() -> None:
    assert wish(waiting(0.0, ready=5, desired=5)) == 5


def test_few_requests_have_no_value() -> None:
    gauge = Queueing(RULE).look(waiting(5.0, number=19))
    assert (gauge.value, gauge.wish) == (None, None)
    assert "19 of 20" in gauge.says


def test_no_replica_has_no_value() -> None:
    assert Queueing(RULE).look(waiting(5.0, ready=0)).value is None


def test_more_by_littles_law() -> None:
    """A request that waits 200 ms and is served in 100 is there for 300; it may be for 200."""
    assert wish(waiting(0.2, ready=10)) == pytest.approx(15, abs=1)


def test_at_most_twice_as_many_at_once_and_one_more_at_least() -> None:
    assert wish(waiting(60.0, ready=4)) == 8
    assert wish(waiting(0.106, ready=1)) == 2


@given(st.floats(0, 100), st.floats(0, 100), st.integers(1, 50), st.floats(0.001, 5))
def test_a_longer_wait_never_wishes_fewer(
    one: float, other: float, ready: int, served: float
) -> None:
    shorter, longer = sorted((one, other))
    wishes = [
        wish(waiting(wait, ready=ready, desired=ready, served=served)) for wait in (shorter, longer)
    ]
    assert None not in wishes
    assert wishes[0] <= wishes[1]  # type: ignore[operator]


def test_fewer_once_it_is_known_what_a_replica_bears() -> None:
    """80 a second at 0.1 s are 8 in flight at 2: 4 bore each, with others waiting. At 20 a second
    2 are in flight, with two square roots on top of them 4.8: two replicas."""
    rule = Queueing(RULE)
    assert wish(waiting(0.3, rate=80.0), rule) == 4
    assert rule.bears == pytest.approx(4)
    assert wish(waiting(0.0, ready=4, desired=4, rate=20.0), rule) == 2
    assert wish(waiting(0.0, ready=4, desired=4, rate=80.0), rule) == 4


@given(st.floats(1, 1000), st.floats(1, 1000))
def test_more_load_never_wishes_fewer(one: float, other: float) -> None:
    rule = Queueing(RULE)
    rule.bears = 4.0
    less, more = sorted((one, other))
    wishes = [wish(waiting(0.0, desired=99, rate=rate), rule) for rate in (less, more)]
    assert wishes[0] <= wishes[1]  # type: ignore[operator]


def test_it_says_why() -> None:
    says = Queueing(RULE).look(waiting(0.3)).says
    assert says.startswith("p95 ")
    assert "of 100ms at 2 ready asks for 4" in says
