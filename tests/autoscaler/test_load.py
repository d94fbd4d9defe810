"""Reports of several workers become one load."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.load import REPORT_IS_LATE, SILENCE_IS_NEWS, SOURCE_IS_GONE, Load
from tests.support.scaling_facts import report


def test_reports_of_two_workers_add_up() -> None:
    load = Load(60.0)
    for second in range(1, 61):
        load.record(report(float(second), 10, requests=100, source="one"))
        load.record(report(float(second), 30, requests=50, queued=2, source="two"))
    means = load.means(60.0, 60.0)
    assert [means.concurrency, means.rps] == pytest.approx([40, 150])
    assert (load.in_flight(60.0), load.queued(60.0)) == (40, 2)


def test_a_rejected_request_counts_as_one_request_second() -> None:
    load = Load(60.0)
    load.record(report(1.0, rejected=30))
    assert load.means(6.0, 1.0).concurrency == pytest.approx(5)


def test_between_two_reports_of_a_busy_worker_the_mean_does_not_sag() -> None:
    load = Load(60.0)
    for second in range(1, 61):
        load.record(report(float(second), 10))
    assert [load.means(6.0, 60 + late).concurrency for late in (0.0, 0.5, 0.99)] == [10, 10, 10]
    assert load.means(6.0, 60 + REPORT_IS_LATE).concurrency < 10


def test_after_the_last_report_of_an_idle_worker_silence_is_zero() -> None:
    """The last one is one of silence (cluster.messages.LoadReport)."""
    load = Load(60.0)
    for second in range(1, 61):
        load.record(report(float(second), 10, in_flight=0))
    # Short requests that were not there at the moment of the report: another one is to come.
    assert load.means(6.0, 60.9).concurrency == pytest.approx(10)
    load.record(report(61.0))
    assert load.means(6.0, 61.0).concurrency == pytest.approx(10 * 5 / 6)
    assert load.means(6.0, 61.5).concurrency == pytest.approx(10 * 4.5 / 6)


def test_what_a_dead_worker_had_in_flight_is_gone_with_it() -> None:
    load = Load(60.0)
    load.record(report(1.0, 5, source="dead"))
    assert load.is_busy(1.0 + SOURCE_IS_GONE - 0.1)
    assert not load.is_busy(1.0 + SOURCE_IS_GONE)
    assert load.in_flight(1.0 + SOURCE_IS_GONE) == 0


def test_workers_that_come_and_go_leave_nothing_behind() -> None:
    load = Load(60.0)
    for number in range(1000):
        load.record(report(number * 10.0, 5, source=f"worker-{number}"))
    assert len(load._sources) <= 8


@pytest.mark.parametrize(
    ("facts", "active"),
    [
        ({}, False),
        ({"requests": 1}, True),
        ({"rejected": 1}, True),
        ({"queued": 1}, True),
        ({"in_flight": 1}, True),
        ({"concurrency": 0.1}, True),
    ],
)
def test_anything_but_an_empty_report_is_activity(facts: dict[str, float], active: bool) -> None:
    load = Load(60.0)
    load.record(report(7.0, **facts))  # type: ignore[arg-type]
    assert (load.last_activity == 7.0) is active


def test_a_woken_service_is_busy_until_its_first_report() -> None:
    load = Load(60.0)
    load.expect(5.0)
    assert load.is_busy(5.5)
    assert load.last_activity == 5.0
    load.record(report(6.0, 0.5, in_flight=0))
    assert not load.is_busy(6.0)


def test_a_wake_without_any_report_is_not_busy_for_ever() -> None:
    load = Load(60.0)
    load.expect(5.0)
    assert not load.is_busy(5.0 + REPORT_IS_LATE)


def test_windows_shorter_than_a_bucket_are_one_second() -> None:
    load = Load(60.0)
    load.record(report(1.0, 8))
    assert load.means(0.25, 1.0).concurrency == pytest.approx(8)


def test_a_busy_worker_that_falls_silent_makes_blind_for_a_minute() -> None:
    load = Load(60.0)
    load.record(report(1.0, 5, source="hung"))
    for second in range(2, 100):
        load.record(report(float(second), 5, source="well"))
        silent_for = second - 1.0
        assert load.is_blind(second) is (REPORT_IS_LATE <= silent_for < SILENCE_IS_NEWS)


def test_an_idle_worker_may_be_silent() -> None:
    load = Load(60.0)
    load.record(report(1.0, 5))
    load.record(report(2.0, 5, in_flight=0))
    assert not load.is_blind(10.0)


def test_one_metric_alone_has_the_same_means() -> None:
    load = Load(60.0)
    for second in range(1, 100):
        load.record(report(float(second), second % 7, requests=second % 5, in_flight=1))
    for now in (99.0, 99.6, 100.9):
        long, short = load.means(60.0, now), load.means(6.0, now)
        windows = (60.0, 6.0)
        seen = load.while_busy("concurrency", windows, now)
        assert seen == (long.concurrency, short.concurrency)
        assert load.while_busy("rps", windows, now) == (long.rps, short.rps)


def test_nothing_is_told_at_a_glance_of_what_is_idle_or_late() -> None:
    load = Load(60.0)
    load.record(report(1.0, 5, in_flight=1))
    assert load.while_busy("concurrency", (60.0, 6.0), 2.9) is not None
    assert load.while_busy("concurrency", (60.0, 6.0), 3.0) is None
    load.record(report(3.5, 5, in_flight=0))
    assert load.while_busy("concurrency", (60.0, 6.0), 3.6) is None


def woken(ready_at: float) -> Load:
    load = Load(60.0)
    load.begin(0.0)
    load.serve(ready_at)
    return load


def test_after_a_wake_the_short_window_begins_when_a_replica_serves() -> None:
    load = woken(0.2)
    for second in range(1, 4):
        load.record(report(float(second), 100))
    # The first report tells of the time before as well, so it begins at 1.0.
    assert load.lately(6.0, 3.0).concurrency == pytest.approx(100)
    assert load.lately(6.0, 3.0).window == pytest.approx(2.0)
    assert load.means(6.0, 3.0).concurrency == pytest.approx(50)


def test_so_it_is_with_several_workers_whose_reports_overlap() -> None:
    load = woken(0.1)
    for second in range(1, 4):
        load.record(report(second - 0.5, 50, source="one"))
        load.record(report(float(second), 50, source="two"))
    # Both told of the time before, the second one until 1.0.
    assert load.lately(6.0, 3.0).window == pytest.approx(2.0)
    assert load.lately(6.0, 3.0).concurrency == pytest.approx(100)


def test_what_was_held_until_then_is_no_load_of_that_time() -> None:
    load = woken(0.5)
    load.record(report(1.0, 100, requests=200, in_flight=0))
    load.record(report(2.0, 0, requests=0, in_flight=0))
    assert load.lately(6.0, 2.0) == load.means(6.0, 2.0, held=False)
    assert load.lately(6.0, 2.0).concurrency == 0
    assert load.means(6.0, 2.0).concurrency == pytest.approx(100 / 6)


def test_nothing_is_concluded_from_less_than_a_second() -> None:
    load = woken(0.0)
    load.record(report(1.0, 50))
    assert load.lately(6.0, 1.0).window == 1.0
    load = woken(0.3)
    load.record(report(1.2, 50))
    assert load.lately(6.0, 1.9).window == 6.0


def test_while_nothing_serves_yet_silence_counts() -> None:
    load = Load(60.0)
    load.begin(0.0)
    for second in range(1, 4):
        load.record(report(float(second), 100))
    assert load.lately(6.0, 3.0) == load.means(6.0, 3.0)


def test_a_second_replica_begins_nothing_anew() -> None:
    load = woken(0.0)
    for second in range(1, 5):
        load.record(report(float(second), 10))
    load.serve(3.5)
    assert load.lately(6.0, 4.0).window == pytest.approx(4.0)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=8), st.floats(0, 5))
def test_a_young_window_never_tells_of_less(loads: list[float], ready_at: float) -> None:
    load = woken(ready_at)
    for second, busy in enumerate(loads, 1):
        load.record(report(float(second), busy))
    now = float(len(loads))
    assert load.lately(6.0, now).concurrency >= load.means(6.0, now, held=False).concurrency
    assert load.lately(6.0, now).rps >= load.means(6.0, now).rps
