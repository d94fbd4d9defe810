"""Counts by span are kept exactly, each request within its span."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.counted import Counts
from simulation.dice import seeded
from simulation.distributions import Constant, distribution

SERVICES = ("a", "b", "c")
cells = st.dictionaries(st.tuples(st.integers(0, 9), st.integers(0, 2)), st.integers(0, 30))


@given(cells, st.booleans(), st.integers())
def test_each_span_has_exactly_its_requests(
    given_counts: dict[tuple[int, int], int], evenly: bool, seed: int
) -> None:
    counts = Counts(60.0)
    counts.lasts(10)
    for (span, service), count in given_counts.items():
        counts.add(span, service, count)
    traffic = counts.traffic(SERVICES, [Constant(1.0)] * 3, seeded(seed), evenly)
    arrivals = list(traffic.arrivals())
    assert arrivals == sorted(arrivals)
    assert arrivals == list(traffic.arrivals())
    assert traffic.seconds == 600
    found = Counter((int(at // 60), service) for at, _, service in arrivals)
    assert found == +Counter(given_counts)


def test_evenly_means_equal_gaps_within_the_span() -> None:
    counts = Counts(60.0)
    counts.add(1, 0, 4)
    at = [at for at, _, _ in counts.traffic(("a",), [Constant(1)], seeded(1), True).arrivals()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert gaps == pytest.approx([15.0] * 3)


def test_rare_services_do_not_come_all_at_once_when_spread_evenly() -> None:
    counts = Counts(60.0)
    for service in range(3):
        counts.add(0, service, 1)
    traffic = counts.traffic(SERVICES, [Constant(1)] * 3, seeded(1), True)
    assert len({round(at) for at, _, _ in traffic.arrivals()}) == 3


def test_work_is_drawn_by_service() -> None:
    counts = Counts(1.0)
    counts.add(0, 0, 2000)
    counts.add(0, 1, 10)
    work = [distribution("exponential(mean=2s)"), Constant(0.5)]
    arrivals = list(counts.traffic(("a", "b"), work, seeded(3)).arrivals())
    assert {takes for _, takes, service in arrivals if service == 1} == {0.5}
    first = [takes for _, takes, service in arrivals if service == 0]
    assert sum(first) / len(first) == pytest.approx(2.0, rel=0.1)
