"""Recorded requests come back in order from their first, with what was known of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.dice import seeded
from simulation.distributions import Constant, distribution
from simulation.recorded import UNKNOWN, Recorded

requests = st.lists(
    st.tuples(st.integers(-(10**15), 10**15), st.sampled_from("abc")), min_size=1, max_size=30
)


@given(requests)
def test_they_come_in_order_none_lost(given_requests: list[tuple[int, str]]) -> None:
    recorded = Recorded()
    for at, service in given_requests:
        recorded.add(at, service)
    traffic = recorded.traffic(Constant(1.0), seeded(1))
    first = min(at for at, _ in given_requests)
    expected = sorted(((at - first) / 1e6, service) for at, service in given_requests)
    came = [(at, traffic.services[service]) for at, _, service in traffic.arrivals()]
    assert sorted(came) == expected
    assert [at for at, _ in came] == [at for at, _ in expected]
    assert came[-1][0] < traffic.seconds <= came[-1][0] + 1


def test_what_is_unknown_is_drawn_the_same_each_time() -> None:
    recorded = Recorded()
    recorded.add(0, "a", 0.25)
    recorded.add(1_000_000, "a", UNKNOWN)
    recorded.add(2_000_000, "a", 0.0)
    traffic = recorded.traffic(distribution("exponential(mean=9s)"), seeded(1))
    works = [work for _, work, _ in traffic.arrivals()]
    assert (works[0], works[2]) == (0.25, 0.0)
    assert works[1] > 0
    assert works == [work for _, work, _ in traffic.arrivals()]


def test_nothing_recorded_is_no_traffic() -> None:
    with pytest.raises(ValueError, match="holds no request"):
        Recorded().traffic(Constant(1.0), seeded(1))
