"""Counting."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.buckets import BOUNDS, EDGES, percentile
from gateway.stats import Counters, Histogram, Times


def test_the_integral_of_the_level_is_exact() -> None:
    counters = Counters(10.0)
    counters.enter(10.0)
    counters.enter(11.0)
    counters.leave(200, 10.0, 13.0)
    span = counters.span(14.0)
    assert (span.seconds, span.busy_seconds, span.requests) == (4.0, 1 + 4 + 1, 2)
    counters.leave(200, 11.0, 14.5)
    span = counters.span(15.0)
    assert (span.seconds, span.busy_seconds, span.requests) == (1.0, 0.5, 0)


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=20), st.data())
def test_spans_add_up(steps: list[float], data: st.DataObject) -> None:
    """However it is cut, the sum over all spans is the time that all requests took."""
    counters, now, total, busy = Counters(0.0), 0.0, 0.0, 0.0
    for step in steps:
        counters.enter(now)
        started, now = now, now + step
        total += now - started
        if data.draw(st.booleans()):
            busy += counters.span(now).busy_seconds
        counters.leave(200, started, now)
    busy += counters.span(now).busy_seconds
    assert busy == pytest.approx(total)


def test_a_histogram_counts_up_to_its_bounds() -> None:
    histogram = Histogram()
    for seconds in (0.0, EDGES[0], EDGES[0] * 1.01, EDGES[-1] * 2):
        histogram.observe(seconds)
    assert histogram.buckets[0] == 2
    assert histogram.buckets[1] == 1
    assert histogram.buckets[-1] == 1


@given(st.lists(st.floats(0, 400), max_size=50))
def test_the_coarse_buckets_of_a_scrape_are_exact(durations: list[float]) -> None:
    """Counted finely, told coarsely: as if it had been counted in BOUNDS in the first place."""
    counters = Counters(0.0)
    for index, seconds in enumerate(durations):
        counters.enter(0.0)
        counters.leave(200, 0.0, seconds, whole=bool(index % 2))
    told = counters.copy(0, ()).duration
    exact = [0] * (len(BOUNDS) + 1)
    for seconds in durations:
        exact[bisect_left(BOUNDS, seconds)] += 1
    assert told.buckets == tuple(exact)
    assert told.total == pytest.approx(sum(durations))


def test_times_are_told_once_and_a_wake_is_no_latency() -> None:
    counters = Counters(0.0)
    for _ in range(5):
        counters.enter(0.0)
    counters.leave(200, 0.0, 0.02, whole=True)  # at once, in one piece
    counters.answer(0.04, 0.04, woken=False)  # at once, the body follows
    counters.leave(200, 0.0, 7.0)
    counters.held = 2
    counters.wait(0.5, woken=False)
    counters.answer(0.6, 0.1, woken=False)
    counters.leave(200, 0.0, 0.6)
    counters.wait(3.0, woken=True)
    counters.answer(3.2, 0.2, woken=True)
    counters.leave(200, 0.0, 3.2)
    counters.leave(503, 0.0, 0.001)  # an answer of our own
    times = counters.times()
    assert [percentile({bucket: 1}, 50) for bucket, _ in times.latencies] == [
        pytest.approx(seconds, rel=0.05) for seconds in (0.02, 0.04, 0.6)
    ]
    assert [percentile({bucket: 1}, 50) for bucket, _ in times.service_times] == [
        pytest.approx(seconds, rel=0.05) for seconds in (0.02, 0.04, 0.1, 0.2)
    ]
    assert [(percentile({bucket: 1}, 50), count) for bucket, count in times.waits] == [
        (0.0, 3),
        (pytest.approx(0.5, rel=0.05), 1),
    ]
    assert counters.times() == Times()
    assert sum(counters.copy(0, ()).queue_wait.buckets) == 2


def test_a_copy_does_not_change() -> None:
    counters = Counters(0.0)
    counters.enter(0.0)
    copy = counters.copy(1, (("web-0", 2),))
    counters.leave(200, 0.0, 1.0)
    assert (copy.in_flight, copy.queued, copy.requests) == (0, 1, {})
    assert copy.endpoints == {"web-0": 2}
    assert sum(copy.duration.buckets) == 0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "enter ignored", "leave ignored", "report"]),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=40,
)


@given(EVENTS)
def test_the_last_activity_is_told_exactly(events: list[tuple[str, float]]) -> None:
    """Against a plain account: activity is a request that is not ignored, when it comes, while it
    is there, and when it ends; also when a coarse clock gives several things one time."""
    counters, now, seen, busy = Counters(0.0), 0.0, 0.0, 0
    for kind, pause in [*events, ("report", 1.0)]:
        now += pause
        seen = now if busy else seen
        match kind:
            case "enter":
                counters.enter(now)
                busy, seen = busy + 1, now
            case "leave" if busy:
                counters.leave(200, 0.0, now)
                busy -= 1
            case "enter ignored":
                counters.ignored += 1
                with counters.unnoticing():
                    counters.enter(now)
            case "leave ignored" if counters.ignored:
                counters.ignored -= 1
                with counters.unnoticing():
                    counters.leave(200, 0.0, now)
            case "report":
                assert counters.active_at(counters.ignored, 0.0, now) == seen
                counters.span(now)


def test_what_a_service_never_counts_takes_no_memory() -> None:
    """Services that were used once stay, by the thousand."""
    one, other = Counters(0.0), Counters(0.0)
    one.leave(200, 0.0, 0.1)
    one.wait(0.1, woken=False)
    assert sum(one.queue_wait.buckets) == 1
    assert sum(other.queue_wait.buckets) == sum(other.others.buckets) == 0
    assert other.queue_wait.buckets is other.late.buckets
