"""Courses as tables: when a rollout begins, gets on, is complete, has failed; and what follows."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.lifecycle import State
from cluster.model import Desired
from cluster.rollout import (
    KEPT,
    Course,
    Currency,
    News,
    Phase,
    Progress,
    Sight,
    Step,
    accepted,
    failed,
    forgiven,
    former_of,
    paused,
    phase_of,
    restarted,
    rolled_back,
    see,
    step,
    target,
)
from cluster.workload import Workload
from config.service import Rollout
from tests.cluster.builders import a_replica

OLD, NEW, NEXT = (Workload("web", name) for name in ("old", "new", "next"))
KNOWN = Course(good=(OLD,))
POLICY = Rollout(deadline=60.0)
BEGUN = Progress("new", begun=0.0, at=10.0, former="old", ready=1, old=2)


def sight(**facts: Any) -> Sight:
    return replace(Sight("new", True, 2, ready=1, old=2, former="old"), **facts)


def taken(
    course: Course,
    progress: Progress | None,
    seen: Sight,
    workload: Workload = NEW,
    now: float = 20.0,
) -> Step:
    return step(course, progress, seen, workload, POLICY, now)


def test_it_begins_when_something_old_is_there() -> None:
    done = taken(KNOWN, None, sight())
    assert done.news == (News.BEGAN,)
    assert done.progress == Progress("new", 20.0, 20.0, "old", ready=1, old=2)
    assert done.wait == 60.0


def test_it_is_complete_when_the_old_are_gone_and_the_new_are_proven() -> None:
    assert taken(KNOWN, BEGUN, sight(old=0)).progress is not None
    done = taken(KNOWN, BEGUN, sight(old=0, available=1))
    assert (done.progress, done.news) == (None, (News.COMPLETED,))
    assert done.course.good == (NEW, OLD)


def test_the_first_revision_ever_is_no_rollout_but_is_remembered() -> None:
    assert taken(Course(), None, sight(old=0, next_in=5.0)) == Step(Course(), None, wait=5.0)
    assert taken(Course(), None, sight(old=0, available=1)).course.good == (NEW,)


def test_what_is_known_to_be_good_needs_no_proof_and_no_timer() -> None:
    known = Course(good=(NEW,))
    assert taken(known, None, sight(old=0, next_in=5.0)) == Step(known, None)


def test_a_sleeping_service_makes_no_progress_and_fails_at_nothing() -> None:
    assert taken(KNOWN, BEGUN, sight(is_awake=False), now=10_000.0) == Step(KNOWN, None)


@pytest.mark.parametrize(
    ("facts", "moves"),
    [
        ({}, False),
        ({"ready": 2}, True),
        ({"available": 1}, True),
        ({"old": 1}, True),
        ({"old": 3}, False),
        ({"ready": 0}, False),
        ({"is_held": True}, True),
    ],
)
def test_only_what_was_never_so_good_before_is_progress(
    facts: dict[str, object], moves: bool
) -> None:
    progress = taken(KNOWN, BEGUN, sight(**facts)).progress
    assert progress is not None
    assert progress.at == (20.0 if moves else 10.0)


def test_no_progress_until_the_deadline_is_told_once() -> None:
    assert taken(KNOWN, BEGUN, sight(), now=69.9).news == ()
    done = taken(KNOWN, BEGUN, sight(), now=70.0)
    assert (done.news, done.reason) == ((News.FAILED,), "no progress for 60 s")
    again = taken(KNOWN, done.progress, sight(), now=80.0)
    assert (again.news, again.wait) == ((), None)


@pytest.mark.parametrize(
    ("desired", "failures", "fails"),
    [(1, 2, False), (1, 3, True), (6, 3, True), (7, 3, False), (20, 9, False), (20, 10, True)],
)
def test_three_or_half_of_all_are_too_many(desired: int, failures: int, fails: bool) -> None:
    progress = replace(BEGUN, failures=failures, incidents=failures)
    done = taken(KNOWN, progress, sight(desired=desired))
    assert (News.FAILED in done.news) is fails


def test_those_that_fail_together_fail_once() -> None:
    """The engine may have taken all of them with it."""
    progress = BEGUN
    for now, fails in ((12.0, False), (13.0, False), (14.0, True)):
        for _ in range(5):
            progress = failed(progress, now)
        assert (News.FAILED in taken(KNOWN, progress, sight()).news) is fails
    assert News.FAILED not in taken(KNOWN, forgiven(progress), sight()).news


def test_those_that_fail_on_and_on_do_not_fail_together() -> None:
    progress = BEGUN
    for number in range(7):
        progress = failed(progress, 12.0 + number * 0.5)
    assert (progress.failures, progress.incidents) == (7, 4)


def test_a_new_one_that_is_proven_takes_the_failures_back() -> None:
    progress = replace(BEGUN, failures=2)
    done = taken(KNOWN, progress, sight(available=1))
    assert done.progress is not None
    assert done.progress.failures == 0


def test_another_revision_begins_anew() -> None:
    done = taken(KNOWN, replace(BEGUN, failures=2), sight(revision="next"), NEXT)
    assert done.progress is not None
    assert (done.progress.revision, done.progress.failures) == ("next", 0)


def test_rolled_back_it_stays_so_until_the_file_names_another_one() -> None:
    course = rolled_back(KNOWN, NEW, "it crashed", failed=True)
    assert target(course, NEW) == OLD
    assert target(course, NEXT) == NEXT
    assert accepted(course, "new") == ()
    assert phase_of(course, None, "new") is Phase.ROLLED_BACK
    assert phase_of(course, None, "next") is None
    rolling = Progress("old", 0.0, 0.0, former="new")
    assert phase_of(course, rolling, "new") is Phase.ROLLING_BACK


def test_paused_it_starts_the_former_one_and_keeps_what_has_come() -> None:
    course = paused(KNOWN, NEW, "it crashed")
    assert target(course, NEW) == OLD
    assert accepted(course, "new") == ("new",)
    assert phase_of(course, None, "new") is Phase.PAUSED


def test_back_again_and_again_goes_further_back_and_never_forth() -> None:
    course = Course(good=(NEXT, NEW, OLD))
    assert former_of(course, NEXT) == NEW
    course = rolled_back(course, NEXT, "by hand")
    assert former_of(course, NEXT) == OLD
    course = rolled_back(course, NEXT, "by hand")
    assert former_of(course, NEXT) is None
    assert former_of(Course(good=(NEW,)), NEW) is None


def test_paused_between_two_revisions_it_goes_back_to_the_former_of_them() -> None:
    """And from there, by hand once more, to the one before that."""
    course = paused(Course(good=(NEW, OLD)), NEXT, "it crashed")
    assert former_of(course, NEXT) == NEW
    course = rolled_back(course, NEXT, "by hand")
    assert target(course, NEXT) == NEW
    assert phase_of(course, None, "next") is Phase.ROLLED_BACK
    assert former_of(course, NEXT) == OLD
    assert former_of(paused(KNOWN, NEW, "it crashed"), NEW) == OLD


def test_a_restart_marks_what_is_there_and_nothing_that_comes() -> None:
    course = restarted(KNOWN, [a_replica("a"), a_replica("b", State.STOPPED)])
    current = Currency("new", (), course.outdated)
    assert not current.holds(a_replica("a"))
    assert current.holds(a_replica("c"))
    assert phase_of(course, Progress("new", 0.0, 0.0, former="new"), "new") is Phase.RESTARTING
    done = taken(course, BEGUN, sight(old=0, available=1))
    assert done.course.outdated == frozenset()


def test_one_whose_time_has_not_begun_is_neither_available_nor_to_be_waited_for() -> None:
    unfit = a_replica("a", since=math.inf)
    seen = see(Currency("new"), Desired(1), [unfit], healthy_for=0.0, now=10.0)
    assert (seen.ready, seen.available, seen.next_in) == (1, 0, None)


def test_what_is_seen() -> None:
    replicas = [
        a_replica("a", since=0.0),
        a_replica("b", since=8.0),
        a_replica("c", State.STARTING),
        a_replica("d", revision="old"),
        a_replica("e", State.DRAINING, revision="old"),
    ]
    seen = see(Currency("new"), Desired(3), replicas, healthy_for=5.0, now=10.0)
    assert seen == Sight("new", True, 3, ready=2, available=1, old=1, former="old", next_in=3.0)
    assert not see(Currency("new"), Desired(3, frozen=True), replicas, 5.0, 10.0).is_awake


@given(st.lists(st.sampled_from([OLD, NEW, NEXT, Workload("web", "last")]), max_size=12))
def test_few_are_remembered_and_each_once(proven: list[Workload]) -> None:
    course = Course()
    for workload in proven:
        seen = Sight(workload.revision, True, 1, ready=1, available=1)
        course = step(course, None, seen, workload, POLICY, 0.0).course
    assert len(set(course.good)) == len(course.good) <= KEPT
    assert course.good[:1] == tuple(proven[-1:])
