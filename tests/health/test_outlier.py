"""Who is ejected, for how long, and how many at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.service import Outliers
from health.outlier import Detector, Ejection, allowed, duration

LIMITS = Outliers(failures=3, eject_for=10.0, max_ejected=0.5)
READY = ("a", "b", "c", "d")


def failing(
    detector: Detector, replica: str, now: float, limits: Outliers = LIMITS
) -> Ejection | None:
    """As many failures as it takes."""
    for _ in range(limits.failures - 1):
        assert not detector.fail(replica, limits)
    assert detector.fail(replica, limits)
    return detector.eject(replica, limits, READY, now)


def test_failures_in_a_row_eject() -> None:
    assert failing(Detector(), "a", 0.0) == Ejection("a", seconds=10.0, count=1, failures=3)


def test_a_success_in_between_starts_the_count_anew() -> None:
    detector = Detector()
    for _ in range(10):
        assert not detector.fail("a", LIMITS)
        assert not detector.fail("a", LIMITS)
        detector.succeed("a", LIMITS, 0.0)
    assert detector.is_empty


def test_a_success_after_an_ejection_starts_the_count_anew_but_forgives_nothing() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    detector.review(READY, READY, LIMITS, 10.0)
    for _ in range(5):
        assert not detector.fail("a", LIMITS)
        assert not detector.fail("a", LIMITS)
        detector.succeed("a", LIMITS, 11.0)
    again = failing(detector, "a", 12.0)
    assert again is not None
    assert again.count == 2


def test_zero_failures_turn_it_off() -> None:
    detector, off = Detector(), Outliers(failures=0)
    assert not any(detector.fail("a", off) for _ in range(100))
    assert detector.is_empty


def test_late_failures_of_an_ejected_replica_are_no_news() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    assert not any(detector.fail("a", LIMITS) for _ in range(100))


def test_ejections_in_a_row_last_longer_up_to_300_s() -> None:
    """Envoy: base_ejection_time times the number of ejections, max_ejection_time 300 s."""
    detector, now, seconds = Detector(), 0.0, []
    for _ in range(40):
        ejection = failing(detector, "a", now)
        assert ejection is not None
        seconds.append(ejection.seconds)
        now += ejection.seconds
        assert detector.review(READY, READY, LIMITS, now) == ["a"]
    assert seconds[:3] == [10.0, 20.0, 30.0]
    assert seconds[-1] == 300.0


@pytest.mark.parametrize(
    ("quiet", "count"),
    [(0.0, 4), (9.9, 4), (10.0, 3), (25.0, 2), (30.0, 1), (1000.0, 1)],
)
def test_one_ejection_is_forgiven_for_each_eject_for_of_quiet(quiet: float, count: int) -> None:
    detector, now = Detector(), 0.0
    for _ in range(3):
        ejection = failing(detector, "a", now)
        assert ejection is not None
        now += ejection.seconds
        detector.review(READY, READY, LIMITS, now)
    again = failing(detector, "a", now + quiet)
    assert again is not None
    assert again.count == count


def test_a_forgiven_record_is_dropped_by_a_success() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    detector.review(READY, READY, LIMITS, 10.0)
    detector.succeed("a", LIMITS, 15.0)
    assert not detector.is_empty
    detector.succeed("a", LIMITS, 20.0)
    assert detector.is_empty


@pytest.mark.parametrize(
    ("share", "ready", "most"),
    [
        (0.5, 0, 0),
        (0.5, 1, 0),
        (0.5, 2, 1),
        (0.5, 3, 1),
        (0.5, 4, 2),
        (1.0, 3, 2),
        (0.0, 100, 0),
        (0.29, 100, 29),
        (0.1, 9, 0),
    ],
)
def test_so_many_may_be_out(share: float, ready: int, most: int) -> None:
    assert allowed(Outliers(max_ejected=share), ready) == most


def test_a_full_house_is_asked_again_after_the_next_failures() -> None:
    detector = Detector()
    for replica in ("a", "b"):
        assert failing(detector, replica, 0.0)
    assert failing(detector, "c", 1.0) is None
    detector.review(READY, READY, LIMITS, 10.0)
    assert failing(detector, "c", 10.0) == Ejection("c", 10.0, 1, failures=6)


def test_who_is_not_ready_any_more_is_not_ejected_any_more() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    assert detector.review(("b", "c", "d"), READY, LIMITS, 1.0) == ["a"]
    assert detector.review(("b", "c", "d"), ("b", "c", "d"), LIMITS, 1.0) == []
    assert detector.is_empty


def test_when_others_leave_the_first_due_returns_early() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    failing(detector, "b", 5.0)
    assert detector.review(("a", "b"), READY, LIMITS, 6.0) == ["a"]
    assert detector.review(("b",), READY, LIMITS, 6.0) == ["b"]


def test_turning_it_off_lets_all_return() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    assert detector.review(READY, READY, Outliers(failures=0), 1.0) == ["a"]
    assert detector.next_due() is None


def test_the_next_due_is_the_earliest() -> None:
    detector = Detector()
    assert detector.next_due() is None
    failing(detector, "a", 5.0)
    failing(detector, "b", 0.0)
    assert detector.next_due() == 10.0


def test_a_long_eject_for_is_not_cut_to_300_s() -> None:
    assert duration(Outliers(eject_for=600.0), 3) == 600.0


REPLICAS = [f"r{number}" for number in range(6)]
STEPS = st.tuples(
    st.sampled_from(["fail", "fail", "fail", "succeed", "wait", "leave", "join"]),
    st.sampled_from(REPLICAS),
)


@given(
    st.lists(STEPS, max_size=120),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.1, 0.34, 0.5, 0.99, 1.0]),
)
def test_never_more_than_the_share_and_never_the_last(
    steps: list[tuple[str, str]], failures: int, share: float
) -> None:
    """As the shell calls it: `eject` when `fail` says so, `review` after each change."""
    limits = Outliers(failures=failures, eject_for=10.0, max_ejected=share)
    detector, ready, now = Detector(), set(REPLICAS), 0.0
    row = dict.fromkeys(REPLICAS, 0)
    for step, replica in steps:
        if step == "fail" and replica in ready:
            is_out = replica in detector.ejected()
            row[replica] += not is_out
            asked = detector.fail(replica, limits)
            assert asked == (not is_out and row[replica] % failures == 0)
            if asked and detector.eject(replica, limits, ready, now):
                row[replica] = 0
        elif step == "succeed":
            row[replica] = 0
            detector.succeed(replica, limits, now)
        elif step == "wait":
            now += 7.0
        elif step == "leave":
            ready.discard(replica)
            row[replica] = 0
        else:
            ready.add(replica)
        detector.review(ready, ready, limits, now)

        out = detector.ejected()
        assert set(out) <= ready
        assert len(out) <= share * len(ready) + 1e-6
        assert not ready or len(out) < len(ready)
        due = detector.next_due()
        assert due is None or now < due <= now + 300.0


# What all do alike


def failures(detector: Detector, replica: str, times: int) -> None:
    for _ in range(times):
        detector.fail(replica, LIMITS)


@pytest.mark.parametrize(
    ("others", "shared"),
    [
        ((0, 0, 0), False),
        ((2, 2, 0), False),  # one that serves is fine, or was asked for nothing
        ((1, 2, 2), False),
        ((2, 2, 2), True),  # at least half as many in a row
        ((3, 2, 9), True),
    ],
)
def test_it_is_shared_when_all_others_that_serve_fail_too(
    others: tuple[int, ...], shared: bool
) -> None:
    detector = Detector()
    failures(detector, "a", 3)
    for replica, times in zip("bcd", others, strict=True):
        failures(detector, replica, times)
    assert detector.is_shared("a", LIMITS, READY) is shared


def test_those_that_are_out_cannot_show_that_it_is_not_shared() -> None:
    detector = Detector()
    failing(detector, "c", 0.0)
    failing(detector, "d", 0.0)
    for replica in "ab":
        failures(detector, replica, 3)
    assert detector.is_shared("a", LIMITS, READY)


def test_one_alone_shares_nothing() -> None:
    detector = Detector()
    failures(detector, "a", 3)
    assert not detector.is_shared("a", LIMITS, ("a",))


def test_those_released_return_at_once_and_the_ejection_is_not_held_against_them() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    failing(detector, "b", 0.0)
    assert detector.release(1.0) == ["a", "b"]
    assert detector.ejected() == []
    failures(detector, "c", 3)
    failures(detector, "d", 3)
    assert detector.is_shared("d", LIMITS, READY), "a and b fail, as far as is known"
    detector.succeed("a", LIMITS, 2.0)
    again = failing(detector, "a", 2.0)
    assert again is not None
    assert again.count == 1


def test_a_late_success_of_an_ejected_replica_is_no_news() -> None:
    detector = Detector()
    failing(detector, "a", 0.0)
    detector.succeed("a", LIMITS, 1.0)
    assert detector.failures("a") == 3


def test_one_that_never_failed_in_a_row_can_be_ejected_for_another_reason() -> None:
    detector = Detector()
    assert detector.eject("a", LIMITS, READY, 0.0) == Ejection("a", 10.0, 1, failures=0)
    assert detector.eject("b", LIMITS, READY, 0.0)
    assert detector.eject("c", LIMITS, READY, 0.0) is None


def test_comparing_alone_turns_ejection_on() -> None:
    alone = Outliers(failures=0, slow=5.0)
    assert allowed(alone, 4) == 2
    assert not any(Detector().fail("a", alone) for _ in range(9))
    assert allowed(Outliers(failures=0), 4) == 0
