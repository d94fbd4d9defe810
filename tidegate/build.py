"""The composition root: settings in, wired system out. The only place that knows every package.

The control plane is wired in control/plane.py; here is what only a real Tidegate has around it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from admin.access import read_token
from admin.app import AdminServer
from autoscaler.habits import Habits
from autoscaler.measuring import Measuring
from autoscaler.source_metrics import SourceMetrics
from cluster.cgroup import Group
from cluster.events import Events
from cluster.runtime import InstanceRuntime
from cluster.tasks import Tasks
from config.settings import Settings
from control.ground import Clock, Ground
from control.plane import Plane, plane_on
from gateway.gateway import Gateway, GatewayEvents
from gateway.sweep import OnSweep
from tidegate.control import Control
from tidegate.equipment import Equipment
from tidegate.expiry import Expiry
from tidegate.front import Front, Inside
from tidegate.habit_book import HabitBook
from tidegate.host_limits import HostLimits, levels_of
from tidegate.lease_book import LeaseBook
from tidegate.lease_key import LeaseKey
from tidegate.metrics import GatewayCollector, TidegateMetrics
from tidegate.recorder import Recorder, RecorderMetrics
from tidegate.shedding import Shedding
from tidegate.succession import Succession
from tidegate.token_file import TokenFile
from tidegate.workers import Workers


@dataclass(frozen=True, slots=True)
class System:
    """Everything that `run` starts and stops."""

    settings: Settings
    plane: Plane
    measuring: Measuring
    gateway: Succession
    control: Control
    admin: AdminServer
    metrics: TidegateMetrics
    expiry: Expiry
    equipment: Equipment
    limits: HostLimits
    recorder: Recorder
    habits: Habits


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
    """`clock` is loop time, `wall` seconds since 1970; `on_sweep` is for a gateway in this
    process."""
    state = Path(settings.state_dir)
    ground = Ground.of(runtime, tasks, clock, wall, rng)
    recorder = recorder_on(ground, settings)
    key = LeaseKey.of(state)
    equipment = Equipment(key, settings.runtime)
    habits = Habits(clock, wall, HabitBook(state, ground.events))
    plane = plane_on(
        ground,
        levels=lambda: levels_of(gateway, clock),
        leases=LeaseBook(state),
        courses=state / "revisions",
        habits=habits,
        usage=recorder.noting(ground.usage),
        given=equipment.of,
    )
    plane.spine.on_report(recorder.report)
    measuring = measuring_on(ground, plane, recorder)
    gateway = Succession(plane.spine, plane.events, tasks)
    gateway.lead(front_of(settings, gateway, plane.events, tasks, rng, log_arguments, on_sweep))
    plane.registry.on_snapshot(gateway.apply)
    limits = HostLimits(plane.starts, plane.host)
    control = Control(file, settings, plane, measuring, gateway, clock, wall, limits)
    metrics = metrics_on(ground, gateway)
    expiry = Expiry(plane.events, metrics, wall)
    admin = AdminServer(
        settings.admin.listen, token, control, ground.collectors, lease_token=key.token
    )
    follow_reloads(control, metrics, expiry, TokenFile(admin, plane.events), recorder)
    return System(
        settings, plane, measuring, gateway, control, admin, metrics, expiry, equipment, limits,
        recorder, habits,
    )  # fmt: skip


def recorder_on(ground: Ground, settings: Settings) -> Recorder:
    """The first to hear of a replica."""
    return Recorder(
        Path(settings.state_dir), settings, ground.registry, ground.events,
        RecorderMetrics(ground.collectors), ground.clock, ground.wall,
    )  # fmt: skip


def measuring_on(ground: Ground, plane: Plane, recorder: Recorder) -> Measuring:
    return Measuring(
        ground.registry, recorder.noting(ground.usage), plane.scaler.measured, ground.tasks,
        ground.events, SourceMetrics(ground.collectors), ground.clock, ground.rng,
    )  # fmt: skip


def metrics_on(ground: Ground, gateway: Succession) -> TidegateMetrics:
    metrics = TidegateMetrics(ground.collectors)
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
        inside = Gateway(
            settings.gateway, told, rng,
            on_sweep=on_sweep, memory=Group.limited(), on_shedding=Shedding(events).tell,
        )  # fmt: skip
        return Inside(inside)
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


def token_of(settings: Settings) -> str | None:
    """The bearer token of the admin API. Raises admin.access.TokenError."""
    file = settings.admin.token_file
    return read_token(Path(file)) if file else None
