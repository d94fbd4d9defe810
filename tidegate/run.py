"""The life of a Tidegate: check, lock, adopt, serve; drain and stop.

Nothing is accepted before what runs already was adopted, and nothing is stopped before the last
request was answered.
"""

import asyncio
import logging
import random
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from admin.access import TokenError
from admin.app import AdminListenError
from cluster import descriptors
from cluster.runtime import RuntimeFailure
from cluster.tasks import Tasks
from config.errors import ConfigError
from config.loader import load
from config.settings import Settings
from gateway.listener import ListenError
from tidegate import log as logs
from tidegate.build import System, build, runtime_of, token_of
from tidegate.collector import Collector
from tidegate.lock import AlreadyRunning, held

log = logging.getLogger("tidegate")

FAILED = 1
WRONG_CONFIG = 2
LAG_EVERY = 2.0


def main(
    config: Path,
    keep_replicas: bool = False,
    log_format: logs.Format = "text",
    log_level: str = "info",
) -> int:
    """Run until told to stop; the exit code of the process."""
    logs.configure(log_format, log_level)
    descriptors.raise_limit()
    try:
        settings = load(config)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201
        return WRONG_CONFIG
    # What was loaded lives as long as we do.
    Collector.look()
    try:
        with held(Path(settings.state_dir), settings.owner):
            return uvloop.run(
                serve(
                    settings,
                    config.resolve(),
                    keep_replicas,
                    ("--log-format", log_format, "--log-level", log_level),
                )
            )
    except (AlreadyRunning, TokenError, OSError) as error:
        return _cannot_start(error)


def _cannot_start(error: Exception) -> int:
    log.error("cannot start: %s", error)
    return FAILED


async def serve(
    settings: Settings, file: Path, keep_replicas: bool, log_arguments: Sequence[str]
) -> int:
    loop = asyncio.get_running_loop()
    stopping = Stopping(loop)
    runtime = runtime_of(settings, file.parent)
    token = token_of(settings)
    collector = Collector()
    if settings.gateway.workers == 0:
        collector.watch(loop.time())
    async with Tasks() as tasks:
        system = build(
            settings,
            file,
            token,
            runtime,
            tasks,
            loop.time,
            time.time,
            random.Random(),
            log_arguments,
            on_sweep=collector.tick,
        )
        loop.add_signal_handler(
            signal.SIGHUP, lambda: tasks.start(_reload(system), "reload the configuration")
        )
        try:
            await _start(system, tasks)
            await stopping.asked.wait()
        except (ListenError, AdminListenError, TimeoutError) as error:
            return _cannot_start(error)
        finally:
            # One that could not start leaves what it adopted to the next one.
            await _stop(system, stopping, keep_replicas or not stopping.asked.is_set())
    return 0


class Stopping:
    """SIGTERM or SIGINT asks to stop; the second one means at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        (self.at_once if self.asked.is_set() else self.asked).set()


async def _start(system: System, tasks: Tasks) -> None:
    settings = system.settings
    admin = await system.admin.start()
    system.equipment.admin_is_at(admin)
    try:
        await system.runtime.open()
    except RuntimeFailure as failure:
        log.error("%s; services wait until it answers", failure.message)
    system.control.warn()
    system.registry.configure(settings.services)
    system.scaler.configure(settings.services)
    await system.discovery.sync()
    system.leasing.restore(settings.services)
    system.reconciler.begin()
    system.measuring.configure(settings.services)
    system.control.open_routes(settings)
    addresses = await system.gateway.start()
    tasks.start(system.discovery.run(), "discovery")
    tasks.start(system.scaler.run(), "autoscaler")
    system.expiry.look(settings.gateway)
    tasks.start(system.expiry.run(), "warn of certificates that end")
    tasks.start(_watch_lag(system), "watch the loop's lag")
    system.control.is_now(None)
    log.info(
        "ready: %d services on %s, admin on http://%s",
        len(settings.services),
        ", ".join(map(str, addresses)),
        admin,
        extra={
            "kind": "ready",
            "listen": [str(address) for address in addresses],
            "admin": str(admin),
        },
    )


async def _stop(system: System, stopping: Stopping, keep_replicas: bool) -> None:
    """The gateway finishes first, while everything behind it still works."""
    system.control.is_now("draining")
    # Nothing is woken any more but by a request.
    await system.measuring.close()
    if stopping.asked.is_set():
        log.info("stopping: requests in flight may finish; a second signal stops at once")
    longest = max((spec.drain for spec in system.registry.specs.values()), default=0.0)
    await _unless_at_once(system.gateway.drain(longest), stopping)
    if keep_replicas:
        system.reconciler.halt()
    else:
        await _unless_at_once(system.reconciler.stop(), stopping)
        await system.reconciler.kill()
    await system.gateway.drain(0)
    system.prober.close()
    system.ejector.close()
    await system.runtime.close()
    await system.admin.stop()


async def _unless_at_once(work: Coroutine[Any, Any, None], stopping: Stopping) -> None:
    """Do it, but let go of it when the operator has no patience left."""
    async with asyncio.TaskGroup() as group:
        doing = group.create_task(work, name="stopping")
        told = group.create_task(stopping.at_once.wait(), name="wait for a second signal")
        await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
        doing.cancel()
        told.cancel()


async def _reload(system: System) -> None:
    await system.control.reload()


async def _watch_lag(system: System) -> None:
    """How late timers fire: the one number that shows a control process out of breath."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        system.metrics.lag.observe(max(0.0, loop.time() - due))
