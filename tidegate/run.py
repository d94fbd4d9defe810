"""The life of a Tidegate: check, lock, adopt, serve; drain and stop.

Nothing is accepted before what runs already was adopted, and nothing is stopped before the last
request was answered.
"""

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from admin.access import TokenError
from admin.app import AdminListenError
from cluster import descriptors
from cluster.discovery import AGAIN_FIRST, AGAIN_LONGEST
from cluster.runtime import RuntimeFailure
from cluster.tasks import Tasks
from config.errors import ConfigError
from config.loader import load
from config.settings import Settings
from gateway.listener import ListenError, wanted
from tidegate import log as logs
from tidegate.build import System, build, offers_of, runtime_of, token_of
from tidegate.collector import Collector
from tidegate.handing import Abandoned, Predecessor
from tidegate.lock import AlreadyRunning, OwnerLock, held
from tidegate.resting import Resting
from tidegate.supervisor import Supervisor
from tidegate.upgrade import Upgrade

log = logging.getLogger("tidegate")

FAILED = 1
WRONG_CONFIG = 2
LAG_EVERY = 2.0
KILL_DEADLINE = 30.0  # seconds, for an operator without patience


def main(
    config: Path,
    keep_replicas: bool = False,
    log_format: logs.Format = "text",
    log_level: str = "info",
) -> int:
    """Run until told to stop; the exit code of the process."""
    predecessor = Predecessor.of(os.environ)
    supervisor = Supervisor.of(os.environ, os.getpid())
    logs.configure(log_format, log_level)
    descriptors.raise_limit()
    try:
        settings = load(config)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201
        if predecessor:
            predecessor.failed("\n".join(map(str, error.problems)))
        return WRONG_CONFIG
    # What was loaded lives as long as we do.
    Collector.look()
    try:
        if predecessor:
            predecessor.wait(settings.owner, settings.state_dir)
        with held(Path(settings.state_dir), settings.owner) as lock:
            return uvloop.run(
                serve(
                    settings,
                    config.resolve(),
                    keep_replicas,
                    ("--log-format", log_format, "--log-level", log_level),
                    lock,
                    predecessor,
                    supervisor,
                )
            )
    except (AlreadyRunning, Abandoned, TokenError, OSError) as error:
        return _cannot_start(error, predecessor)


def _cannot_start(error: Exception, predecessor: Predecessor | None) -> int:
    log.error("cannot start: %s", error)
    if predecessor:
        predecessor.failed(str(error))
    return FAILED


async def serve(
    settings: Settings,
    file: Path,
    keep_replicas: bool,
    log_arguments: Sequence[str],
    lock: OwnerLock,
    predecessor: Predecessor | None,
    supervisor: Supervisor,
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
            signal.SIGHUP,
            lambda: tasks.start(_reload(system, supervisor), "reload the configuration"),
        )
        resting = Resting(system, lock, tasks, longest_drain(settings))
        upgrade = Upgrade(
            settings.owner, settings.state_dir, settings.admin.listen, resting.rest, resting.resume,
            supervisor.environment(),
        )  # fmt: skip
        try:
            await _start(system, tasks, resting, predecessor, supervisor, stopping)
            system.control.replace = upgrade
            await _first(stopping.asked, upgrade.is_done, upgrade.is_lost)
            await _unless(stopping.at_once, upgrade.abandon())
            if upgrade.is_done.is_set():
                supervisor.replaced(upgrade.pid)
                await _unless(stopping.asked, resting.leave())
                _vanish()
            supervisor.stopping()
        except (ListenError, AdminListenError, TimeoutError, Abandoned) as error:
            return _cannot_start(error, predecessor)
        finally:
            system.control.replace = None
            # One that could not start leaves what it adopted to the next one, and one that has lost
            # its place to whoever has that.
            is_ours = stopping.asked.is_set() and not upgrade.is_lost.is_set()
            await _stop(system, stopping, keep_replicas or not is_ours)
    return FAILED if upgrade.is_lost.is_set() else 0


class Stopping:
    """SIGTERM or SIGINT asks to stop; the second one means at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        (self.at_once if self.asked.is_set() else self.asked).set()


async def _first(*events: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(event.wait(), name="wait") for event in events]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


def _vanish() -> NoReturn:
    """All that there was to end is another's now; the loop would end our children with it."""
    log.info("replaced: the new process is in charge")
    logging.shutdown()
    os._exit(0)


async def _start(
    system: System,
    tasks: Tasks,
    resting: Resting,
    predecessor: Predecessor | None,
    supervisor: Supervisor,
    stopping: "Stopping",
) -> None:
    settings, plane = system.settings, system.plane
    given = supervisor.take([settings.admin.listen, *wanted(settings.gateway)])
    of_admin = given.pop(settings.admin.listen, [])
    admin = await system.admin.start(
        predecessor.admin(settings.admin.listen) if predecessor else of_admin,
        # Until we are ready, nobody gets an answer from us that the former one would give better.
        accepting=predecessor is None,
    )
    system.equipment.admin_is_at(admin)
    try:
        await plane.runtime.open()
    except RuntimeFailure as failure:
        log.error("%s; services wait until it answers", failure.message)
    system.control.warn()
    succeeds = await system.gateway.look(offers_of(settings))
    plane.configure(settings.services)
    system.limits.configure(settings.host)
    if not await plane.discovery.sync() and any(
        not one.endpoints for one in settings.services.values()
    ):
        if predecessor:
            raise Abandoned("the engine does not answer, and so nobody knows what runs")
        if succeeds:
            await _ask_again(system, stopping)
    plane.leasing.restore(settings.services)
    if not succeeds:
        plane.reconciler.begin()
    system.measuring.configure(settings.services)
    system.control.open_routes(settings)
    addresses = await system.gateway.start(given)
    for unclaimed in supervisor.unclaimed():
        log.warning("nothing in the file listens on %s, a socket that was given", unclaimed)
    if succeeds:
        # Only now is it known what is in flight, so that no replica is stopped under it.
        await system.gateway.take_over(system.control.snapshots(), longest_drain(settings))
        plane.reconciler.begin()
    resting.discover()
    resting.decides(plane.decide(tasks))
    _look_on(system, tasks)
    system.control.is_now(None)
    await system.admin.proceed()
    if predecessor:
        predecessor.ready()
    supervisor.ready(f"{len(settings.services)} services, admin on http://{admin}")
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


def _look_on(system: System, tasks: Tasks) -> None:
    system.expiry.look(system.settings.gateway)
    tasks.start(system.expiry.run(), "warn of certificates that end")
    tasks.start(_watch_lag(system), "watch the loop's lag")
    tasks.start(system.recorder.run(), "write the recording")
    tasks.start(system.habits.run(), "write what sleep has learned")


async def _ask_again(system: System, stopping: Stopping) -> None:
    """The gateways of a former process know replicas that we do not: they are worth waiting for, as
    long as there are such gateways."""
    offers, pause = offers_of(system.settings), AGAIN_FIRST
    log.warning("the gateways from before go on alone until the engine answers")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(system.settings.orphan_timeout):
            while not stopping.asked.is_set() and any(offers.glob("*.sock")):
                await asyncio.sleep(pause)
                with contextlib.suppress(RuntimeFailure):
                    await system.plane.runtime.open()
                if await system.plane.discovery.sync():
                    return
                pause = min(AGAIN_LONGEST, pause * 2)


async def _stop(system: System, stopping: Stopping, keep_replicas: bool) -> None:
    """The gateway finishes first, while everything behind it still works."""
    system.control.is_now("draining")
    # Nothing is woken any more but by a request.
    await system.measuring.close()
    if stopping.asked.is_set():
        log.info("stopping: requests in flight may finish; a second signal stops at once")
    await _unless(stopping.at_once, system.gateway.drain(longest_drain(system.control.settings)))
    if keep_replicas:
        system.plane.reconciler.halt()
    else:
        await _unless(stopping.at_once, system.plane.reconciler.stop())
        await _kill(system, stopping)
    await system.gateway.drain(0)
    await system.recorder.close()
    await system.habits.halt()
    system.plane.close()
    await system.plane.runtime.close()
    await system.admin.stop()


def longest_drain(settings: Settings) -> float:
    """Seconds."""
    return max((spec.drain for spec in settings.services.values()), default=0.0)


async def _kill(system: System, stopping: Stopping) -> None:
    try:
        async with asyncio.timeout(KILL_DEADLINE if stopping.at_once.is_set() else None):
            await system.plane.reconciler.kill()
    except TimeoutError:
        log.error("the engine has not killed all replicas; the next Tidegate finds them")


async def _unless(told_to_hurry: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do it, but let go of it when the operator has no patience left."""
    async with asyncio.TaskGroup() as group:
        doing = group.create_task(work, name="stopping")
        told = group.create_task(told_to_hurry.wait(), name="wait for a signal")
        await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
        doing.cancel()
        told.cancel()


async def _reload(system: System, supervisor: Supervisor) -> None:
    supervisor.reloading()
    result = await system.control.reload()
    supervisor.ready("reloaded" if result.ok else "the file is wrong; the last good one stays")


async def _watch_lag(system: System) -> None:
    """How late timers fire: the one number that shows a control process out of breath."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        system.metrics.lag.observe(max(0.0, loop.time() - due))
        logs.flush()
