"""The composition root: settings in, wired system out. The only place that knows every package."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from admin.access import read_token
from admin.app import AdminServer
from autoscaler.habits import Habits
from autoscaler.leasing import Leasing
from autoscaler.measuring import Measuring
from autoscaler.metrics import AutoscalerMetrics
from autoscaler.scaler import Scaler
from autoscaler.source_metrics import SourceMetrics
from cluster.calls import Calls
from cluster.courses import Courses
from cluster.discovery import Discovery
from cluster.endpoints import StaticEndpoints
from cluster.events import Events
from cluster.failures import Failures
from cluster.host import HostMemory
from cluster.keeping import Keeping
from cluster.metrics import ClusterMetrics, ReplicaLedger
from cluster.placing import Placing
from cluster.reconciler import Reconciler
from cluster.registry import Registry
from cluster.rollouts import Rollouts
from cluster.runtime import InstanceRuntime
from cluster.starts import Starts
from cluster.tasks import Tasks
from config.settings import Settings
from gateway.gateway import Gateway, GatewayEvents
from gateway.sweep import OnSweep
from health.ejector import Ejector
from health.metrics import HealthMetrics
from health.prober import Prober
from tidegate.control import Control
from tidegate.equipment import Equipment
from tidegate.expiry import Expiry
from tidegate.front import Front, Inside
from tidegate.habit_book import HabitBook
from tidegate.host_limits import HostLimits, levels_of
from tidegate.lease_book import LeaseBook
from tidegate.lease_key import LeaseKey
from tidegate.metrics import GatewayCollector, TidegateMetrics
from tidegate.recorder import Measure, Recorder, RecorderMetrics
from tidegate.spine import Spine
from tidegate.succession import Succession
from tidegate.token_file import TokenFile
from tidegate.workers import Workers

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class System:
    """Everything that `run` starts and stops."""

    settings: Settings
    registry: Registry
    runtime: InstanceRuntime
    events: Events
    scaler: Scaler
    measuring: Measuring
    leasing: Leasing
    reconciler: Reconciler
    placing: Placing
    discovery: Discovery
    gateway: Succession
    prober: Prober
    ejector: Ejector
    control: Control
    admin: AdminServer
    metrics: TidegateMetrics
    expiry: Expiry
    equipment: Equipment
    limits: HostLimits
    recorder: Recorder
    habits: Habits


@dataclass(frozen=True, slots=True)
class Ground:
    """What every part stands on. `clock` is loop time, `wall` seconds since 1970."""

    settings: Settings
    runtime: InstanceRuntime
    tasks: Tasks
    clock: Clock
    wall: Clock
    rng: random.Random
    collectors: CollectorRegistry
    events: Events
    registry: Registry
    metrics: ClusterMetrics
    recorder: Recorder

    @classmethod
    def of(
        cls, settings: Settings, runtime: InstanceRuntime, tasks: Tasks, clock: Clock, wall: Clock,
        rng: random.Random,
    ) -> "Ground":  # fmt: skip
        collectors, events, registry = CollectorRegistry(), Events(wall), Registry()
        recorder = Recorder(
            Path(settings.state_dir), settings, registry, events, RecorderMetrics(collectors),
            clock, wall,
        )  # fmt: skip
        return cls(
            settings, runtime, tasks, clock, wall, rng,
            collectors, events, registry, ClusterMetrics(collectors), recorder,
        )  # fmt: skip

    @property
    def state(self) -> Path:
        return Path(self.settings.state_dir)

    def jitter(self) -> float:
        return self.rng.uniform(0.7, 1.3)

    def usage(self) -> Measure:
        calls = Calls(self.metrics, self.clock)
        return self.recorder.noting(calls.around("usage", self.runtime.usage))


@dataclass(frozen=True, slots=True)
class Autoscaling:
    habits: Habits
    scaler: Scaler
    measuring: Measuring
    leasing: Leasing


def build(
    settings: Settings,
    file: Path,
    token: str | None,
    runtime: InstanceRuntime,
    tasks: Tasks,
    clock: Clock,
    wall: Clock,
    rng: random.Random,
    log_arguments: Sequence[str] = (),
    on_sweep: OnSweep | None = None,
) -> System:
    """`on_sweep` is for a gateway in this process."""
    ground = Ground.of(settings, runtime, tasks, clock, wall, rng)
    registry, events, spine = ground.registry, ground.events, Spine()
    failures = Failures(registry, events, ground.metrics, clock, jitter=ground.jitter)
    key = LeaseKey.of(ground.state)
    equipment = Equipment(key, settings.runtime)
    starts = Starts(registry, ground.metrics)
    placing = Placing(
        registry, runtime, tasks, failures, events, ground.metrics, clock, wall,
        replica_names(rng), equipment.of, ground.jitter, starts,
    )  # fmt: skip
    scaling = autoscaling_on(ground)
    gateway = Succession(spine, events, tasks)
    host = host_on(ground, failures, scaling.scaler, gateway)
    limits = HostLimits(starts, host)
    keeping = Keeping(registry, clock, can=runtime.capabilities.keep)
    rollouts = rollouts_on(ground, failures)
    rollouts.on_turn(scaling.scaler.relearn)
    reconciler = Reconciler(
        registry, placing, StaticEndpoints(registry, clock, wall), failures, spine.pending,
        rollouts, scaling.leasing.replicas, keeping=keeping, host=host,
    )  # fmt: skip
    prober, ejector = health_on(ground, failures, host)
    spine.connect(scaling.scaler, ejector, reconciler, host, ground.recorder)
    discovery = Discovery(
        registry, runtime, failures, events, ground.metrics, clock,
        adopt=scaling.scaler.adopt, discard=placing.discard, keeping=keeping,
        jitter=ground.jitter,
    )  # fmt: skip
    gateway.lead(front_of(settings, gateway, events, tasks, rng, log_arguments, on_sweep))
    registry.on_snapshot(gateway.apply)
    control = Control(
        file, settings, registry, runtime, events, scaling.scaler, scaling.measuring, reconciler,
        rollouts, gateway, scaling.leasing, clock, wall, limits,
    )  # fmt: skip
    metrics = metrics_on(ground, gateway)
    expiry = Expiry(events, metrics, wall)
    admin = AdminServer(
        settings.admin.listen, token, control, ground.collectors, lease_token=key.token
    )
    follow_reloads(control, metrics, expiry, TokenFile(admin, events), ground.recorder)
    return System(
        settings, registry, runtime, events, scaling.scaler, scaling.measuring, scaling.leasing,
        reconciler, placing, discovery, gateway, prober, ejector, control, admin, metrics, expiry,
        equipment, limits, ground.recorder, scaling.habits,
    )  # fmt: skip


def autoscaling_on(ground: Ground) -> Autoscaling:
    registry, events, clock = ground.registry, ground.events, ground.clock
    habits = Habits(clock, ground.wall, HabitBook(ground.state, events))
    metrics = AutoscalerMetrics(ground.collectors)
    scaler = Scaler(registry, events, clock, ground.wall, metrics, habits)
    measuring = Measuring(
        registry, ground.usage(), scaler.measured, ground.tasks, events,
        SourceMetrics(ground.collectors), clock, ground.rng,
    )  # fmt: skip
    leasing = Leasing(
        scaler, events, clock, ground.wall, lambda: f"{ground.rng.getrandbits(48):012x}",
        LeaseBook(ground.state),
    )  # fmt: skip
    return Autoscaling(habits, scaler, measuring, leasing)


def host_on(ground: Ground, failures: Failures, scaler: Scaler, gateway: Succession) -> HostMemory:
    return HostMemory(
        ground.registry, failures, ground.events, ground.metrics, ground.clock,
        scaler.idle_since, scaler.put_to_sleep, ground.usage(),
        lambda: levels_of(gateway, ground.clock), ground.tasks,
    )  # fmt: skip


def rollouts_on(ground: Ground, failures: Failures) -> Rollouts:
    courses = Courses(ground.state / "revisions", ground.events)
    return Rollouts(ground.registry, ground.events, ground.metrics, failures, courses, ground.clock)


def health_on(ground: Ground, failures: Failures, host: HostMemory) -> tuple[Prober, Ejector]:
    registry, events, clock = ground.registry, ground.events, ground.clock
    metrics = HealthMetrics(ground.collectors)
    prober = Prober(
        registry, ground.runtime.execute, ground.tasks, events, clock, ground.rng, metrics,
        evicted=failures.evicted, may_run=host.may_run,
    )  # fmt: skip
    return prober, Ejector(registry, events, clock, metrics, prober.confirm)


def metrics_on(ground: Ground, gateway: Succession) -> TidegateMetrics:
    metrics = TidegateMetrics(ground.collectors)
    ground.collectors.register(ReplicaLedger(ground.registry, ground.clock))
    ground.collectors.register(GatewayCollector(lambda: gateway.stats(ground.clock())))
    return metrics


def follow_reloads(
    control: Control,
    metrics: TidegateMetrics,
    expiry: Expiry,
    tokens: TokenFile,
    recorder: Recorder,
) -> None:
    control.on_reload(metrics.reloaded)
    control.on_reload(lambda result: expiry.look(control.settings.gateway) if result.ok else None)
    control.on_reload(lambda result: tokens.look(control.settings.admin) if result.ok else None)
    control.on_reload(lambda result: recorder.configure(control.settings) if result.ok else None)


def front_of(
    settings: Settings,
    told: GatewayEvents,
    events: Events,
    tasks: Tasks,
    rng: random.Random,
    log_arguments: Sequence[str],
    on_sweep: OnSweep | None,
) -> Front:
    if settings.gateway.workers == 0:
        return Inside(Gateway(settings.gateway, told, rng, on_sweep=on_sweep))
    return Workers(
        settings.gateway, told, events, tasks, log_arguments, offers_of(settings),
        settings.orphan_timeout,
    )  # fmt: skip


def offers_of(settings: Settings) -> Path:
    """The folder in which gateways wait for the next control process."""
    return Path(settings.state_dir) / "gateways"


def runtime_of(settings: Settings, folder: Path) -> InstanceRuntime:
    """The driver that the file names; `folder` is where its commands run.

    A driver that nobody asked for is not even loaded.
    """
    if settings.runtime == "docker":
        from runtimes.docker import DockerRuntime

        docker = settings.docker
        return DockerRuntime(settings.owner, docker.url, docker.network, docker.publish)
    from runtimes.process import ProcessRuntime

    return ProcessRuntime(
        settings.owner,
        Path(settings.state_dir),
        folder,
        orphan_timeout=settings.orphan_timeout,
    )


def replica_names(rng: random.Random) -> Callable[[str], str]:
    """`web` -> `web-7f3a2`: short enough to type, never the same twice in one run."""
    return lambda service: f"{service}-{rng.getrandbits(32):08x}"


def token_of(settings: Settings) -> str | None:
    """The bearer token of the admin API. Raises admin.access.TokenError."""
    file = settings.admin.token_file
    return read_token(Path(file)) if file else None
