"""How far a service is on its way from one revision to another, and what follows from it.

Pure. The file says what is wanted; a *course* may overrule it: a revision that failed is pinned
out until the file names another one. Old is whatever is not of the target, and what a restart has
marked.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import ceil, inf, isfinite

from cluster.backoff import ONE_INCIDENT
from cluster.lifecycle import State
from cluster.model import Desired, Replica
from cluster.workload import Workload
from config.service import Rollout

KEPT = 3  # revisions to which a service may go back
MOST_FAILURES = 3  # from fewer, one after the other, nobody concludes anything
_LIVING = (State.STARTING, State.READY, State.FROZEN, State.UNHEALTHY)


class Phase(StrEnum):
    """Where a rollout stands. Nothing is to be said of a service that runs what its file says."""

    PROGRESSING = "progressing"  # another revision replaces what ran before
    RESTARTING = "restarting"  # the same revision does
    FAILED = "failed"  # and there is nothing to go back to: it is tried again and again
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"  # done: the file's revision is pinned out
    PAUSED = "paused"  # what has come so far stays; whatever is started is of the former revision


@dataclass(frozen=True, slots=True)
class Pin:
    """While the file says `filed`, `workload` is what is started; never again one of `rejected`.

    `paused`: replicas of the file's revision that serve may stay. `failed`: nobody asked for it.
    """

    filed: str
    workload: Workload
    reason: str
    rejected: tuple[str, ...] = ()
    paused: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """What outlives a restart of Tidegate. `good`: revisions that were healthy, the latest first.
    `outdated`: replicas that a restart replaces, by name: neither clocks nor hashes matter."""

    good: tuple[Workload, ...] = ()
    pin: Pin | None = None
    outdated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Progress:
    """Of the rollout under way: the best that was seen, and when it last became better.

    `incidents`: how often replicas failed, those that failed together counted once; the last of
    them began at `failed_at`."""

    revision: str
    begun: float
    at: float
    former: str = ""
    ready: int = 0
    available: int = 0
    old: int | None = None
    failures: int = 0
    incidents: int = 0
    failed_at: float = -inf
    gave_up: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """A service as a rollout sees it. `next_in`: seconds until one more counts as available."""

    revision: str
    is_awake: bool
    desired: int
    ready: int = 0
    available: int = 0
    old: int = 0
    former: str = ""
    next_in: float | None = None
    is_held: bool = False  # it waits for what it depends on, for the engine, or for room


class News(StrEnum):
    """What a step found out."""

    BEGAN = "began"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """`wait`: look again in so many seconds, None: only when something changes."""

    course: Course
    progress: Progress | None
    news: tuple[News, ...] = ()
    reason: str = ""
    wait: float | None = None


def pin_in_force(course: Course, filed: str) -> Pin | None:
    pin = course.pin
    return pin if pin is not None and pin.filed == filed else None


def target(course: Course, filed: Workload) -> Workload:
    """What is to be started."""
    pin = pin_in_force(course, filed.revision)
    return pin.workload if pin is not None else filed


def accepted(course: Course, filed: str) -> Collection[str]:
    """Revisions beside the target of which replicas may stay."""
    pin = pin_in_force(course, filed)
    return (filed,) if pin is not None and pin.paused else ()


@dataclass(frozen=True, slots=True)
class Currency:
    """Who is not old."""

    revision: str
    accepted: Collection[str] = ()
    outdated: Collection[str] = field(default_factory=frozenset)

    def holds(self, replica: Replica) -> bool:
        fits = replica.revision == self.revision or replica.revision in self.accepted
        return fits and replica.id not in self.outdated


def is_available(replica: Replica, healthy_for: float, now: float) -> bool:
    """Ready for so long without a break (Kubernetes: minReadySeconds). One whose time has not
    begun, because traffic finds it unfit, is `since` for ever to come."""
    # A timer may fire a little before its time.
    return replica.state is State.READY and now - replica.since >= healthy_for - 0.001


def see(
    current: Currency,
    desired: Desired,
    replicas: Sequence[Replica],
    healthy_for: float,
    now: float,
) -> Sight:
    living = [replica for replica in replicas if replica.state in _LIVING]
    new = [replica for replica in living if current.holds(replica)]
    old = [replica for replica in living if not current.holds(replica)]
    available = [replica for replica in new if is_available(replica, healthy_for, now)]
    ready = [replica for replica in new if replica.state is State.READY]
    coming = [
        healthy_for - (now - one.since)
        for one in ready
        if one not in available and isfinite(one.since)
    ]
    return Sight(
        revision=current.revision,
        is_awake=desired.replicas > 0 and not desired.frozen,
        desired=desired.replicas,
        ready=len(ready),
        available=len(available),
        old=len(old),
        former=old[0].revision if old else "",
        next_in=max(0.0, min(coming)) if coming else None,
    )


def step(
    course: Course,
    progress: Progress | None,
    sight: Sight,
    workload: Workload,
    policy: Rollout,
    now: float,
) -> Step:
    """The next state of affairs. A sleeping service makes no progress and fails at nothing.

    `workload` is the target that `sight` was held against.
    """
    if not sight.is_awake:
        return Step(course, None)
    is_known = bool(course.good) and course.good[0].revision == sight.revision
    if not sight.old and (is_known or sight.available):
        done = (News.COMPLETED,) if progress is not None else ()
        wait = None if is_known else sight.next_in
        return Step(_completed(course, workload, sight), None, done, wait=wait)
    if not sight.old and not course.good:
        return Step(course, None, wait=sight.next_in)  # the first one ever: there is no other
    news: tuple[News, ...] = ()
    if progress is None or progress.revision != sight.revision:
        progress, news = _begun(course, sight, now), (News.BEGAN,)
    progress = _advanced(progress, sight, now)
    reason = "" if progress.gave_up else _failure(progress, sight, policy, now)
    if reason:
        return Step(course, replace(progress, gave_up=True), (*news, News.FAILED), reason)
    deadline = [] if progress.gave_up else [progress.at + policy.deadline - now]
    waits = [*deadline, *([] if sight.next_in is None else [sight.next_in])]
    return Step(course, progress, news, wait=min(waits) if waits else None)


def _completed(course: Course, workload: Workload, sight: Sight) -> Course:
    """What was healthy is what to come back to."""
    done = replace(course, outdated=frozenset()) if course.outdated else course
    if not sight.available or (done.good and done.good[0] == workload):
        return done
    others = [one for one in done.good if one.revision != workload.revision]
    return replace(done, good=(workload, *others)[:KEPT])


def _begun(course: Course, sight: Sight, now: float) -> Progress:
    former = sight.former or (course.good[0].revision if course.good else "")
    return Progress(sight.revision, now, now, former)


def _advanced(progress: Progress, sight: Sight, now: float) -> Progress:
    """Only the best counts: what comes and goes again and again is no progress."""
    if sight.is_held:
        return replace(progress, at=now)
    fewer = progress.old is None or sight.old < progress.old
    more = sight.available > progress.available
    if not (more or fewer or sight.ready > progress.ready):
        return progress
    return replace(
        progress,
        at=now,
        ready=max(progress.ready, sight.ready),
        available=max(progress.available, sight.available),
        old=sight.old if fewer else progress.old,
        failures=0 if more else progress.failures,
        incidents=0 if more else progress.incidents,
    )


def failed(progress: Progress, now: float) -> Progress:
    """After one more failure of a new replica."""
    is_another = now - progress.failed_at >= ONE_INCIDENT - 0.001
    return replace(
        progress,
        failures=progress.failures + 1,
        incidents=progress.incidents + is_another,
        failed_at=now if is_another else progress.failed_at,
    )


def forgiven(progress: Progress) -> Progress:
    """Others are to blame for what has failed so far."""
    return replace(progress, failures=0, incidents=0)


def _failure(progress: Progress, sight: Sight, policy: Rollout, now: float) -> str:
    # However many fail at once, that may be the engine, which takes all of them with it.
    is_again_and_again = progress.incidents >= MOST_FAILURES
    if is_again_and_again and progress.failures >= ceil(sight.desired / 2):
        return f"{progress.failures} of its replicas failed"
    if now - progress.at >= policy.deadline - 0.001:
        return f"no progress for {policy.deadline:g} s"
    return ""


# What an operator, or a failure, makes of it


def former_of(course: Course, filed: Workload) -> Workload | None:
    """The last revision that was healthy, other than the present one and those rejected since."""
    rejected = _rejected(course, filed)
    return next((one for one in course.good if one.revision not in rejected), None)


def _rejected(course: Course, filed: Workload) -> tuple[str, ...]:
    """Paused, it is between two revisions: the one to leave is that of the file."""
    pin = pin_in_force(course, filed.revision)
    if pin is None or pin.paused:
        return (filed.revision,)
    return (pin.workload.revision, *pin.rejected)


def rolled_back(course: Course, filed: Workload, reason: str, *, failed: bool = False) -> Course:
    """Back to `former_of`, which there must be."""
    former, rejected = former_of(course, filed), _rejected(course, filed)
    assert former is not None
    return replace(course, pin=Pin(filed.revision, former, reason, rejected, failed=failed))


def paused(course: Course, filed: Workload, reason: str) -> Course:
    """No further: what is started from now on is of `former_of`, which there must be."""
    former = former_of(course, filed)
    assert former is not None
    return replace(course, pin=Pin(filed.revision, former, reason, paused=True, failed=True))


def restarted(course: Course, replicas: Sequence[Replica]) -> Course:
    """Every replica there is now is to be replaced, what was stopped and kept included."""
    return replace(course, outdated=frozenset(replica.id for replica in replicas))


def phase_of(course: Course, progress: Progress | None, filed: str) -> Phase | None:
    pin = pin_in_force(course, filed)
    if pin is not None and pin.paused:
        return Phase.PAUSED
    if progress is None:
        return Phase.ROLLED_BACK if pin is not None else None
    if progress.gave_up:
        return Phase.FAILED
    if pin is not None and progress.former != progress.revision:
        return Phase.ROLLING_BACK
    return Phase.RESTARTING if progress.former == progress.revision else Phase.PROGRESSING
