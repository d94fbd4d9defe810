"""What the admin API may see and do: views of the running system, and the operator's hand in it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

from admin.ports import ReloadResult, UpgradeResult
from admin.views import LeaseView, ReplicaView, RolloutView, ServiceView, TroubleView, moment
from autoscaler.leases import Lease
from autoscaler.measuring import Measuring
from cluster.lifecycle import State
from cluster.messages import EndpointSnapshot
from cluster.model import Replica, Trouble
from cluster.rollout import Phase
from cluster.rollouts import NothingToReturnTo, Status
from cluster.runtime import LogLine
from config import stability
from config.changes import diff
from config.errors import ConfigError, dotted
from config.loader import load
from config.service import Service
from config.settings import Settings
from control.plane import Plane
from gateway.stats import GatewayStats
from tidegate.follow import merged, while_there
from tidegate.front import Front
from tidegate.host_limits import HostLimits

MOST_WARNINGS = 20  # in the log at once; thousands of services may share one mistake


class Control:
    """Implements admin.ports.ControlPlane."""

    def __init__(
        self,
        file: Path,
        settings: Settings,
        plane: Plane,
        measuring: Measuring,
        gateway: Front,
        clock: Callable[[], float],
        wall: Callable[[], float],
        limits: HostLimits,
    ) -> None:
        self._limits = limits
        self.events = plane.events
        self.settings = settings  # as taken over last
        self._file = file
        self._plane = plane
        self._registry = plane.registry
        self._runtime = plane.runtime
        self._scaler = plane.scaler
        self._reconciler = plane.reconciler
        self._rollouts = plane.rollouts
        self._leasing = plane.leasing
        self._measuring = measuring
        self._gateway = gateway
        self._clock = clock
        self._wall = wall
        self._phase: str | None = "starting"
        self._problems: tuple[str, ...] = ()
        self._reloading = asyncio.Lock()
        self.replace: Callable[[], Awaitable[UpgradeResult]] | None = None
        self._on_reload: list[Callable[[ReloadResult], None]] = []

    # Phases of life, told by `run`

    def is_now(self, phase: str | None) -> None:
        """None: ready for requests."""
        self._phase = phase

    def readiness(self) -> str | None:
        return self._phase

    # Reading

    async def refresh(self) -> None:
        await self._gateway.refresh()

    def problems(self) -> Sequence[str]:
        return self._problems

    def services(self) -> Sequence[ServiceView]:
        stats = self._gateway.stats(self._clock())
        return [self._view(spec, stats) for spec in self._registry.specs.values()]

    def service(self, name: str) -> ServiceView | None:
        spec = self._registry.specs.get(name)
        return self._view(spec, self._gateway.stats(self._clock())) if spec else None

    def decisions(
        self, name: str, limit: int, at: float | None = None
    ) -> Sequence[Mapping[str, object]]:
        known = self._scaler.decisions(name)
        past = [decision for decision in known if at is None or decision.at <= at]
        return [decision.to_dict() for decision in past[:limit]]

    def explain(self, name: str) -> Mapping[str, object]:
        story = dict(self._scaler.explain(name, self._clock()))
        decision = self._scaler.last_decision(name)
        story["result"] = decision and decision.result and decision.result.to_dict()
        trouble = self._registry.trouble(name)
        story["trouble"] = trouble and {"code": trouble.code, "message": str(trouble)}
        return story

    def logs(self, name: str, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        instances = [r.instance for r in self._registry.replicas(name) if r.instance is not None]
        logs = self._runtime.logs
        return merged([while_there(logs(one, tail=tail, follow=follow)) for one in instances])

    # Doing

    def scale(self, name: str, replicas: int, duration: float | None) -> None:
        self._scaler.scale(name, replicas, duration, self._clock())

    def automatic(self, name: str) -> None:
        self._scaler.automatic(name)

    def lease(self, name: str, seconds: float, wake: bool, replica: str | None) -> LeaseView:
        if replica is not None:
            known = self._registry.replica(replica)
            if known is None or known.service != name:
                raise ValueError(f'{name} has no replica "{replica}"')
        return self._shown(self._leasing.take(name, seconds, wake=wake, replica=replica))

    def release(self, name: str, id: str) -> LeaseView | None:
        lease = self._leasing.release(name, id)
        return self._shown(lease) if lease else None

    async def upgrade(self) -> UpgradeResult:
        if self.replace is None:
            return UpgradeResult(False, 0, f"not now: {self._phase or 'it starts'}")
        return await self.replace()

    def restart(self, name: str) -> None:
        self._rollouts.restart(self._registry.specs[name])

    def rollback(self, name: str) -> None:
        try:
            self._rollouts.rollback(self._registry.specs[name])
        except NothingToReturnTo as nothing:
            raise ValueError(str(nothing)) from nothing

    def release_rollback(self, name: str) -> None:
        self._rollouts.release(self._registry.specs[name])

    def on_reload(self, listener: Callable[[ReloadResult], None]) -> None:
        self._on_reload.append(listener)

    async def reload(self) -> ReloadResult:
        """All or nothing: a file with any error changes nothing."""
        async with self._reloading:
            result = await self._reload()
        for listener in self._on_reload:
            listener(result)
        return result

    async def _reload(self) -> ReloadResult:
        try:
            settings = await asyncio.to_thread(load, self._file)
        except ConfigError as error:
            return self._refused(error)
        changes = diff(self.settings, settings)
        self._apply(settings)
        # The answer comes back after the new routes were taken in.
        await self._gateway.refresh()
        self.events.emit(
            "config-reloaded",
            f"{self._file} was reloaded: {len(changes.added)} services added, "
            f"{len(changes.changed)} changed, {len(changes.removed)} removed",
        )
        warnings = self.warn()
        return ReloadResult(
            True,
            (),
            changes.changed,
            changes.added,
            changes.removed,
            changes.restart_needed,
            warnings,
        )

    def warn(self) -> tuple[str, ...]:
        """What is unwise in the present file, for the log and for those who follow the events."""
        warnings = (*self.settings.warnings, *self._measured())
        for warning in warnings[:MOST_WARNINGS]:
            self.events.emit("config-warning", warning, level=logging.WARNING)
        if (more := len(warnings) - MOST_WARNINGS) > 0:
            told = f"{more} more warnings: tidegate check shows them all"
            self.events.emit("config-warning", told, level=logging.WARNING)
        return warnings

    def _measured(self) -> Iterator[str]:
        """What no file tells: how long starts took here."""
        for name in self._registry.used_services():
            spec, start = self._registry.specs.get(name), self._registry.start_seconds(name)
            for finding in stability.of_measured(spec, start) if spec and start else ():
                place = dotted(("services", name, *finding.place))
                yield f"{self._file}: warning: {place}: {finding.message}"

    def _refused(self, error: ConfigError) -> ReloadResult:
        problems = self._problems = tuple(str(problem) for problem in error.problems)
        self.events.emit(
            "config-refused",
            f"{self._file} was not reloaded, the last good configuration stays: {problems[0]}"
            + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""),
            level=logging.ERROR,
        )
        return ReloadResult(False, problems)

    def _apply(self, settings: Settings) -> None:
        """Routes last: by then there is somebody to ask for replicas."""
        self.settings = settings
        self._problems = ()
        self._limits.configure(settings.host)
        self._plane.reconfigure(settings.services)
        self._measuring.configure(settings.services)
        self.open_routes(settings)

    def open_routes(self, settings: Settings) -> None:
        """What was published of a service before its route was there is told again."""
        self._gateway.configure(settings.services, settings.gateway)
        for snapshot in self.snapshots():
            self._gateway.apply(snapshot)

    def snapshots(self) -> Iterator[EndpointSnapshot]:
        """Of all services that have something to tell."""
        for service in self._registry.used_services():
            snapshot = self._registry.snapshot(service)
            if snapshot.trouble or snapshot.endpoints:
                yield snapshot

    # Views

    def _view(self, spec: Service, stats: GatewayStats) -> ServiceView:
        name = spec.name
        seen = stats.services.get(name)
        desired = self._registry.desired(name)
        replicas = self._registry.replicas(name)
        decision = self._scaler.last_decision(name)
        rollout = self._rollouts.status(spec)
        trouble = self._registry.trouble(name) or _trouble_of(rollout)
        bounds = self._scaler.bounds(name)
        return ServiceView(
            name=name,
            revision="" if spec.endpoints else self._rollouts.target(spec).revision,
            desired=desired.replicas,
            mode=desired.mode,
            in_flight=seen.in_flight if seen else 0,
            queued=seen.queued if seen else 0,
            replicas=tuple(
                ReplicaView.of(
                    replica,
                    seen.endpoints.get(replica.id, 0) if seen else 0,
                    self._registry.ejection(replica.id),
                )
                for replica in replicas
            ),
            last_decision=decision.to_dict() if decision else None,
            trouble=TroubleView.of(trouble) if trouble else None,
            hosts=spec.hosts,
            min=bounds.least,
            max=bounds.most,
            ready=sum(self._may_serve(replica) for replica in replicas),
            leases=tuple(map(self._shown, self._leasing.present(name))),
            waits_for=self._reconciler.waits_for(name),
            completed=self._registry.completed(name) is not None,
            rollout=self._rollout(rollout) if rollout else None,
        )

    def _rollout(self, status: Status) -> RolloutView:
        since = status.since
        return RolloutView(
            status.phase, status.revision, status.former, status.filed, status.available,
            status.old,
            None if since is None else moment(round(self._wall() + since - self._clock())),
            status.reason,
        )  # fmt: skip

    def _may_serve(self, replica: Replica) -> bool:
        return replica.state is State.READY and self._registry.ejection(replica.id) is None

    def _shown(self, lease: Lease) -> LeaseView:
        """To the second: two clocks that are read one after the other differ by a little."""
        until = round(self._wall() + lease.until - self._clock())
        return LeaseView(lease.id, lease.service, moment(until), lease.replica)


def _trouble_of(rollout: Status | None) -> Trouble | None:
    """For operators alone: clients are served by what runs instead."""
    if rollout is None or not rollout.failed:
        return None
    if rollout.phase is Phase.FAILED:
        message = f"the rollout of revision {rollout.revision} failed; it is tried again and again"
    else:
        message = (
            f"revision {rollout.filed} of the file failed ({rollout.reason}): "
            f"{rollout.revision} is run instead, until the file names another one"
        )
    return Trouble("rollout-failed", message, 0.0)
