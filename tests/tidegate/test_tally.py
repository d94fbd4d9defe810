"""Sums over gateway processes are what one process would have counted."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.buckets import BOUNDS
from gateway.stats import Counters, GatewayStats
from tidegate.tally import merged, of_the_dead

Request = tuple[int, float]
requests = st.lists(st.tuples(st.sampled_from([200, 404, 503]), st.floats(0, 400)), max_size=30)


def counted(seen: list[Request], in_flight: int = 0) -> GatewayStats:
    counters = Counters(0.0)
    for code, seconds in seen:
        counters.enter(0.0)
        counters.leave(code, 0.0, seconds)
    for _ in range(in_flight):
        counters.enter(0.0)
    services = {"web": counters.copy(0, (("web-1", in_flight),), silent=in_flight // 2)}
    connections = {"127.0.0.1:80": in_flight}
    return GatewayStats(1.0, services, {404: len(seen)}, connections, shedding=in_flight)


@given(requests, requests)
def test_two_halves_are_the_whole(first: list[Request], second: list[Request]) -> None:
    both = merged([counted(first, 1), counted(second, 2)], 1.0)
    whole = counted([*first, *second], 3)
    assert both.services["web"].requests == whole.services["web"].requests
    assert both.services["web"].duration.buckets == whole.services["web"].duration.buckets
    assert both.services["web"].in_flight == 3
    assert both.services["web"].endpoints == {"web-1": 3}
    assert both.services["web"].quiet == 1
    assert both.unrouted == whole.unrouted
    assert both.connections == whole.connections
    assert both.shedding == whole.shedding
    assert len(both.services["web"].duration.buckets) == len(BOUNDS) + 1


@given(requests)
def test_the_dead_keep_their_counts_and_lose_their_presence(seen: list[Request]) -> None:
    remains = of_the_dead(counted(seen, 2))
    assert remains.services["web"].requests == counted(seen).services["web"].requests
    assert (remains.services["web"].in_flight, remains.services["web"].quiet) == (0, 0)
    assert remains.services["web"].endpoints == {}
    assert remains.connections == {}
    assert remains.shedding == 0
    assert remains.unrouted == {404: len(seen)}


def test_a_service_that_only_one_process_saw_is_told() -> None:
    both = merged([GatewayStats(0.0, {}, {}, {}), counted([(200, 0.1)])], 1.0)
    assert both.services["web"].requests == {200: 1}
