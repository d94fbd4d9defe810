"""Traffic is replayed the same each time; cutting and merging lose and add nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.traffic import Arrival, Traffic, counted, cut, merged
from tests.simulation.made import any_traffic, traffic

eighths = st.integers(1, 799).map(lambda number: number / 8)


def replayed(made: Traffic) -> list[Arrival]:
    return list(made.arrivals())


@pytest.mark.parametrize("name", ["", "Web", "-a", "a-", "a.b", "a" * 64, "a\nb"])
def test_a_name_that_no_configuration_allows_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a service: use at most 63 of a-z"):
        traffic([], services=(name,))


@pytest.mark.parametrize("services", [(), ("a", "a")])
def test_services_are_there_and_have_names_of_their_own(services: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="each with a name of its own"):
        traffic([], services=services)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_traffic_lasts_and_ends(seconds: float) -> None:
    with pytest.raises(ValueError, match="must last more than 0 s"):
        traffic([], seconds=seconds)


def test_memory_is_known_for_all_or_none() -> None:
    with pytest.raises(ValueError, match="for every service or for none"):
        traffic([], memory=(1.0,))


@given(any_traffic(), eighths)
def test_two_parts_are_the_whole(made: Traffic, middle: float) -> None:
    first, second = cut(made, 0, middle), cut(made, middle, made.seconds)
    assert first.seconds + second.seconds == made.seconds
    later = [(at + middle, work, service) for at, work, service in second.arrivals()]
    assert replayed(first) + later == replayed(made)


@given(any_traffic(), any_traffic(), eighths)
def test_the_cut_of_the_merged_is_the_merged_of_the_cut(
    one: Traffic, other: Traffic, middle: float
) -> None:
    cut_last = cut(merged(one, other), middle, 100.0)
    assert replayed(cut_last) == replayed(
        merged(cut(one, middle, 100.0), cut(other, middle, 100.0))
    )


@given(st.lists(any_traffic(), min_size=1, max_size=4))
def test_merging_keeps_every_request_and_the_order(parts: list[Traffic]) -> None:
    whole = replayed(merged(*parts))
    assert whole == sorted(arrival for part in parts for arrival in part.arrivals())


def test_merging_joins_services_by_their_names() -> None:
    one = traffic([(1.0, 0.1, 0), (3.0, 0.1, 1)], services=("a", "b"), memory=(0.0, 7.0))
    other = traffic([(2.0, 0.2, 0), (4.0, 0.2, 1)], 50.0, services=("c", "a"), memory=(5.0, 6.0))
    both = merged(one, other)
    assert both.services == ("a", "b", "c")
    assert both.memory == (6.0, 7.0, 5.0)
    assert both.seconds == 100.0
    assert replayed(both) == [(1.0, 0.1, 0), (2.0, 0.2, 2), (3.0, 0.1, 1), (4.0, 0.2, 0)]


def test_nothing_known_of_memory_stays_unknown() -> None:
    assert merged(traffic([]), traffic([])).memory == ()


def test_a_cut_keeps_what_comes_at_the_very_end() -> None:
    made = traffic([(0.0, 1.0, 0), (5.0, 1.0, 0), (10.0, 1.0, 0)], seconds=10.0)
    assert replayed(cut(made, 5.0, 10.0)) == [(0.0, 1.0, 0), (5.0, 1.0, 0)]
    assert replayed(cut(made, 0.0, 5.0)) == [(0.0, 1.0, 0)]
    assert cut(made, 5.0, 99.0).seconds == 5.0


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5), (100, 200)])
def test_a_cut_of_nothing_is_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match=r"nothing lies between .* of 100 s of traffic"):
        cut(traffic([]), start, end)


def test_what_there_is_to_count() -> None:
    made = traffic([(0.5, 2.0, 0), (7.0, 1.0, 1), (7.5, 1.0, 1), (8.0, 1.0, 0), (8.25, 1.0, 0)])
    found = counted(made)
    assert (found.requests, found.by_service) == (5, (3, 2))
    assert (found.mean, found.busy) == (0.05, 0.06)
    assert found.peak == 3  # from 7.5 on; what is one second apart is not within one


def test_no_request_is_counted_as_none() -> None:
    assert counted(traffic([])).peak == 0
