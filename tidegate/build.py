"""The composition root: settings in, wired system out. The only place that knows every package."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from admin.access import read_token
from admin.app import AdminServer
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
from tidegate.host_limits import HostLimits, levels_of
from tidegate.lease_book import LeaseBook
from tidegate.lease_key import LeaseKey
from tidegate.metrics import GatewayCollector, TidegateMetrics
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
    collectors = CollectorRegistry()
    events = Events(wall)
    registry = Registry()
    spine = Spine()
    cluster_metrics, health_metrics = ClusterMetrics(collectors), HealthMetrics(collectors)
    jitter = partial(rng.uniform, 0.7, 1.3)
    failures = Failures(registry, events, cluster_metrics, clock, jitter=jitter)
    key = LeaseKey.of(Path(settings.state_dir))
    equipment = Equipment(key, settings.runtime)
    placing = Placing(
        registry, runtime, tasks, failures, events, cluster_metrics, clock, wall,
        replica_names(rng), equipment.of, jitter, starts := Starts(registry, cluster_metrics),
    )  # fmt: skip
    scaler = Scaler(registry, events, clock, wall, AutoscalerMetrics(collectors))
    usage = Calls(cluster_metrics, clock).around("usage", runtime.usage)
    measuring = Measuring(
        registry, usage, scaler.measured, tasks, events, SourceMetrics(collectors), clock, rng
    )
    book = LeaseBook(Path(settings.state_dir))
    leasing = Leasing(scaler, events, clock, wall, lambda: f"{rng.getrandbits(48):012x}", book)
    keeping = Keeping(registry, clock, can=runtime.capabilities.keep)
    host = HostMemory(
        registry, failures, events, cluster_metrics, clock,
        scaler.idle_since, scaler.put_to_sleep, usage, lambda: levels_of(gateway, clock), tasks,
    )  # fmt: skip
    limits = HostLimits(starts, host)
    courses = Courses(Path(settings.state_dir) / "revisions", events)
    rollouts = Rollouts(registry, events, cluster_metrics, failures, courses, clock)
    reconciler = Reconciler(
        registry, placing, StaticEndpoints(registry, clock, wall), failures, spine.pending,
        rollouts, leasing.replicas, keeping=keeping, host=host,
    )  # fmt: skip

    prober = Prober(
        registry, runtime.execute, tasks, events, clock, rng, health_metrics,
        evicted=failures.evicted,
    )  # fmt: skip
    ejector = Ejector(registry, events, clock, health_metrics, prober.confirm)
    spine.connect(scaler, ejector, reconciler, host)

    discovery = Discovery(
        registry, runtime, failures, events, cluster_metrics, clock,
        adopt=scaler.adopt, discard=placing.discard, keeping=keeping, jitter=jitter,
    )  # fmt: skip
    gateway = Succession(spine, events, tasks)
    gateway.lead(front_of(settings, gateway, events, tasks, rng, log_arguments, on_sweep))
    registry.on_snapshot(gateway.apply)

    metrics = TidegateMetrics(collectors)
    collectors.register(ReplicaLedger(registry, clock))
    collectors.register(GatewayCollector(lambda: gateway.stats(clock())))
    control = Control(
        file, settings, registry, runtime, events, scaler, measuring, reconciler, rollouts,
        gateway, leasing, clock, wall, limits,
    )  # fmt: skip
    expiry = Expiry(events, metrics, wall)
    admin = AdminServer(settings.admin.listen, token, control, collectors, lease_token=key.token)
    follow_reloads(control, metrics, expiry, TokenFile(admin, events))
    return System(
        settings, registry, runtime, events, scaler, measuring, leasing, reconciler, placing,
        discovery, gateway, prober, ejector, control, admin, metrics, expiry, equipment, limits,
    )  # fmt: skip


def follow_reloads(
    control: Control, metrics: TidegateMetrics, expiry: Expiry, tokens: TokenFile
) -> None:
    control.on_reload(metrics.reloaded)
    control.on_reload(lambda result: expiry.look(control.settings.gateway) if result.ok else None)
    control.on_reload(lambda result: tokens.look(control.settings.admin) if result.ok else None)


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
