"""The courses of all services: what each of them is to run now, and how its rollout goes.

Looks when the reconciler looks, and decides by cluster/rollout.py; here is what was decided, told
and remembered. A service that runs what its file says, and has for long, has no timer here.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cluster.courses import Courses
from cluster.events import Events
from cluster.failures import Failures
from cluster.lifecycle import State
from cluster.metrics import ClusterMetrics
from cluster.model import Replica
from cluster.registry import Registry
from cluster.rollout import (
    Course,
    Currency,
    News,
    Phase,
    Progress,
    Sight,
    accepted,
    failed,
    forgiven,
    former_of,
    paused,
    phase_of,
    pin_in_force,
    restarted,
    rolled_back,
    see,
    step,
    target,
)
from cluster.workload import Workload, workload_of
from config.service import Service

BY_HAND = "by hand"


class NothingToReturnTo(Exception):
    """No other revision of the service is known to have been healthy."""


@dataclass(frozen=True, slots=True)
class Status:
    """Of a rollout, for people. `filed` is the revision of the file."""

    phase: Phase
    revision: str
    former: str
    filed: str
    available: int
    old: int
    since: float | None
    reason: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the reconciler plans by."""

    workload: Workload
    currency: Currency
    replicas: tuple[Replica, ...]
    now: float
    wait: float | None


class Rollouts:
    def __init__(
        self,
        registry: Registry,
        events: Events,
        metrics: ClusterMetrics,
        failures: Failures,
        courses: Courses,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._events = events
        self._metrics = metrics
        self._failures = failures
        self._store = courses
        self._clock = clock
        self._courses: dict[str, Course] = {}
        self._progress: dict[str, Progress] = {}
        self._filed: dict[str, tuple[Service, Workload]] = {}
        self._unfit: dict[str, float] = {}  # until when a replica was ejected
        self._on_turn: list[Callable[[str], None]] = []
        registry.on_replica(self._follow)
        failures.on_forgiven(self._forgive)

    def on_turn(self, listener: Callable[[str], None]) -> None:
        """Called with a service that is to run another revision now while its file is the same."""
        self._on_turn.append(listener)

    # What is to run

    def filed(self, spec: Service) -> Workload:
        """What the file says. Hashing a spec costs; it is done once for each spec object."""
        known = self._filed.get(spec.name)
        if known is not None and known[0] is spec:
            return known[1]
        workload = workload_of(spec)
        if known is not None and workload == known[1]:
            workload = known[1]
        self._filed[spec.name] = (spec, workload)
        return workload

    def target(self, spec: Service) -> Workload:
        return target(self._course(spec.name), self.filed(spec))

    def look(self, spec: Service, *, is_held: bool) -> Outlook:
        """Take the next step of its rollout, and say what is to run."""
        replicas = self._as_healthy(spec.name)
        is_held = is_held or self._is_excused(spec, replicas)
        sight = replace(self._see(spec, replicas), is_held=is_held)
        course, former = self._course(spec.name), self._progress.get(spec.name)
        now = self._clock()
        done = step(course, former, sight, self.target(spec), spec.rollout, now)
        if done.course is not course:
            self._keep(spec.name, done.course)
        self._note(spec.name, done.progress)
        if News.BEGAN in done.news and done.progress is not None:
            self._began(spec, done.progress)
        if News.COMPLETED in done.news and former is not None:
            self._end(spec.name, former, "completed", "is complete", now)
        if News.FAILED in done.news and done.progress is not None:
            self._failed(spec, done.progress, done.reason)
        return Outlook(self.target(spec), self._currency(spec), replicas, now, done.wait)

    def configure(self, specs: Mapping[str, Service]) -> list[str]:
        """After a reload: the services of which the file has another revision than before."""
        renewed = [
            name
            for name, (_, former) in list(self._filed.items())
            if name in specs and self.filed(specs[name]) is not former
        ]
        for name in renewed:
            self._release(name, "the file has another revision")
        gone = (self._filed.keys() | self._courses.keys() | self._progress.keys()) - specs.keys()
        for name in gone:
            self._filed.pop(name, None)
            self._courses.pop(name, None)
            self._note(name, None)
        self._store.keep_only(specs.keys())
        return renewed

    # The operator's hand

    def restart(self, spec: Service) -> int:
        """Replace all replicas there are now; how many those are."""
        present = self._registry.replicas(spec.name)
        self._note(spec.name, None)
        self._keep(spec.name, restarted(self._course(spec.name), present))
        self._tell(spec.name, "restart-asked", f"{len(present)} replicas are to be replaced")
        self._again(spec.name)
        return len(present)

    def rollback(self, spec: Service) -> Workload:
        """To the last revision that was healthy. Raises NothingToReturnTo."""
        course, filed = self._course(spec.name), self.filed(spec)
        former = former_of(course, filed)
        if former is None:
            raise NothingToReturnTo(
                f"no other revision of {spec.name} is known to have been healthy"
            )
        self._turn(spec.name, rolled_back(course, filed, BY_HAND))
        self._tell(spec.name, "rolled-back", self._pinned(filed, former, BY_HAND))
        return former

    def release(self, spec: Service) -> bool:
        """Try the file's revision again; whether there was a roll-back to undo."""
        if pin_in_force(self._course(spec.name), self.filed(spec).revision) is None:
            return False
        self._release(spec.name, BY_HAND)
        self._again(spec.name)
        return True

    def status(self, spec: Service) -> Status | None:
        """None: it runs what its file says."""
        if spec.endpoints:
            return None
        course, filed = self._course(spec.name), self.filed(spec)
        progress, pin = self._progress.get(spec.name), pin_in_force(course, filed.revision)
        phase = phase_of(course, progress, filed.revision)
        if phase is None:
            return None
        sight = self._see(spec, self._as_healthy(spec.name))
        return Status(
            phase,
            sight.revision,
            progress.former if progress else filed.revision,
            filed.revision,
            sight.available,
            sight.old,
            progress.begun if progress else None,
            pin.reason if pin else "",
            failed=phase is Phase.FAILED or (pin is not None and pin.failed),
        )

    # The rest is private

    def _course(self, service: str) -> Course:
        course = self._courses.get(service)
        if course is None:
            course = self._courses[service] = self._store.load(service)
        return course

    def _currency(self, spec: Service) -> Currency:
        course, filed = self._course(spec.name), self.filed(spec)
        return Currency(
            target(course, filed).revision, accepted(course, filed.revision), course.outdated
        )

    def _see(self, spec: Service, replicas: Sequence[Replica]) -> Sight:
        return see(
            self._currency(spec),
            self._registry.desired(spec.name),
            replicas,
            spec.rollout.healthy_for,
            self._clock(),
        )

    def _is_excused(self, spec: Service, replicas: Sequence[Replica]) -> bool:
        """Nothing of it is on its way, and that is the fault of the engine or of the host."""
        if not self._failures.are_excused(spec.name):
            return False
        current = self._currency(spec)
        return not any(one.state is State.STARTING and current.holds(one) for one in replicas)

    def _as_healthy(self, service: str) -> tuple[Replica, ...]:
        """With the time since which each was healthy: traffic finds what no probe finds."""
        return tuple(map(self._since_healthy, self._registry.replicas(service)))

    def _since_healthy(self, replica: Replica) -> Replica:
        now, unfit = self._clock(), self._unfit.get(replica.id)
        if self._registry.is_ejected(replica.id):
            self._unfit[replica.id] = math.inf
            return replace(replica, since=math.inf)
        if unfit is None:
            return replica
        if unfit == math.inf:
            unfit = self._unfit[replica.id] = now
        return replace(replica, since=max(unfit, replica.since))

    def _follow(self, replica: Replica) -> None:
        """A failure of what is being rolled out."""
        if replica.state not in (State.FAILED, State.STOPPED):
            return
        self._unfit.pop(replica.id, None)
        progress = self._progress.get(replica.service)
        if replica.state is State.STOPPED or progress is None:
            return
        course = self._courses.get(replica.service, Course())
        if replica.revision != progress.revision or replica.id in course.outdated:
            return
        if not self._failures.is_engines(replica.service):
            self._progress[replica.service] = failed(progress, self._clock())

    def _forgive(self, service: str) -> None:
        if (progress := self._progress.get(service)) is not None:
            self._progress[service] = forgiven(progress)

    def _note(self, service: str, progress: Progress | None) -> None:
        former = self._progress.pop(service, None)
        if progress is not None:
            self._progress[service] = progress
        if (former is None) is not (progress is None):
            self._metrics.rolling.labels(service).set(progress is not None)

    def _keep(self, service: str, course: Course) -> None:
        former = self._course(service)
        self._courses[service] = course
        self._store.save(service, course)
        if course.pin != former.pin:
            for listener in self._on_turn:
                listener(service)

    def _turn(self, service: str, course: Course) -> None:
        """Another revision is the target: what failed before says nothing about it."""
        self._note(service, None)
        self._keep(service, course)
        self._again(service)

    def _again(self, service: str) -> None:
        self._failures.forgive(service)
        self._registry.touch(service)

    def _release(self, service: str, why: str) -> None:
        course = self._course(service)
        self._note(service, None)
        if course.pin is not None:
            self._keep(service, replace(course, pin=None))
            self._tell(service, "roll-back-ended", f"the file's revision is run again: {why}")

    def _began(self, spec: Service, progress: Progress) -> None:
        if progress.revision == progress.former:
            what = f"the replicas of revision {progress.revision} are replaced"
        else:
            what = f"revision {progress.revision} replaces {progress.former or 'what runs'}"
        self._tell(spec.name, "rollout-began", what)

    def _end(self, service: str, progress: Progress, outcome: str, what: str, now: float) -> None:
        self._metrics.rollouts.labels(service, outcome).inc()
        seconds = now - progress.begun
        self._tell(
            service,
            f"rollout-{outcome}",
            f"the rollout of revision {progress.revision} {what} after {seconds:.0f} s",
            logging.INFO if outcome == "completed" else logging.ERROR,
        )

    def _failed(self, spec: Service, progress: Progress, reason: str) -> None:
        """Back, or no further, or on and on when there is nothing else."""
        name, filed, course = spec.name, self.filed(spec), self._course(spec.name)
        self._end(name, progress, "failed", f"failed ({reason})", self._clock())
        former = former_of(course, filed)
        if progress.revision == progress.former:
            self._turn(name, replace(course, outdated=frozenset()))
            self._tell(name, "restart-ended", "those not yet replaced stay", logging.WARNING)
        elif pin_in_force(course, filed.revision) is not None or former is None:
            what = f"revision {progress.revision} is tried on: there is no other to go back to"
            self._tell(name, "rollout-stuck", what, logging.ERROR)
        elif spec.rollout.on_failure == "pause":
            self._turn(name, paused(course, filed, reason))
            self._tell(name, "rollout-paused", self._pinned(filed, former, reason), logging.ERROR)
        else:
            self._turn(name, rolled_back(course, filed, reason, failed=True))
            self._tell(name, "rolled-back", self._pinned(filed, former, reason), logging.ERROR)

    def _pinned(self, filed: Workload, former: Workload, reason: str) -> str:
        return (
            f"revision {former.revision} is run instead of the file's {filed.revision} ({reason}), "
            "until the file names another one"
        )

    def _tell(self, service: str, kind: str, what: str, level: int = logging.INFO) -> None:
        self._events.emit(kind, f"{service}: {what}", service=service, level=level)
