"""A real run: Tidegate as it is installed, its replicas processes or containers."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from autoscaler.behaviour import next_multiple
from autoscaler.decider import TICK
from autoscaler.hpa import SYNC
from config.scaling import PolicyName
from loadtests.agreement.lives import Happenings, Lives, lives_of
from loadtests.agreement.replay import Answer, play
from loadtests.agreement.trace import Trace
from loadtests.client import Place
from loadtests.system import NotReached, by_service, get_json, tidegate
from simulation.run import START
from tests.support import replica_app
from tests.support.docker_engine import app_image
from tests.support.held_ports import held_port

APP_PORT = 8080
_LOOK_EVERY = 0.5
_SETTLE = 1.0

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Real:
    """What a run came to at the end of its trace, by service."""

    answers: list[Answer]
    lives: dict[str, Lives]
    replica_seconds: dict[str, float]
    cold_starts: dict[str, float]
    starts: dict[str, float]
    events: Happenings

    def actions(self, service: str) -> int:
        """How often another number of replicas was wanted."""
        return sum(one["kind"] == "scaled" and one["service"] == service for one in self.events)


async def run(runtime: str, trace: Trace) -> Real:
    """Raises NotReached when Tidegate does not come up, or a service never did what it should."""
    with _tidegate(runtime, trace) as (place, admin):
        loop = asyncio.get_running_loop()
        begin = _in_step(loop.time() + _SETTLE, trace.policy)
        async with _watched(admin) as born:
            answers = await play(place, trace.schedule(), begin)
            await asyncio.sleep(begin + trace.seconds - loop.time())
        return await asyncio.to_thread(_read, trace, admin, answers, born)


def _in_step(now: float, policy: PolicyName) -> float:
    """The next moment (loop time) that is to the ticks of the autoscaler what the beginning of a
    simulation is: all processes of a machine have one monotonic clock, and ticks are multiples."""
    period = SYNC if policy == "hpa" else TICK
    return next_multiple(period, now) + START % period


@contextlib.asynccontextmanager
async def _watched(admin: str) -> AsyncIterator[dict[str, datetime]]:
    """When each replica was asked for: looked up while there is any to look at."""
    born: dict[str, datetime] = {}

    def look() -> None:
        for service in get_json(f"{admin}/v1/services")["services"]:
            for one in service["replicas"]:
                born.setdefault(one["id"], datetime.fromisoformat(one["started_at"]))

    async def watch() -> None:
        while True:
            await asyncio.to_thread(look)
            await asyncio.sleep(_LOOK_EVERY)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        yield born
        watching.cancel()


def _read(trace: Trace, admin: str, answers: list[Answer], born: dict[str, datetime]) -> Real:
    """All that is compared, at one moment."""
    seconds, cold, starts = (
        by_service(admin, f"tidegate_{name}_total")
        for name in ("replica_seconds", "cold_starts", "replica_starts")
    )
    events = _events(admin)
    try:
        lives = {part.name: lives_of(part.name, events, born) for part in trace.parts}
    except LookupError as error:
        raise NotReached(str(error)) from error
    return Real(answers, lives, seconds, cold, starts, events)


def _events(admin: str) -> Happenings:
    """All that happened. Raises NotReached when Tidegate has forgotten the first ones."""
    with urllib.request.urlopen(f"{admin}/v1/events?follow=false", timeout=10) as response:
        lines = response.read().decode().splitlines()
    events = [json.loads(line[len("data:") :]) for line in lines if line.startswith("data:")]
    if not events or events[0]["id"] != 1:
        raise NotReached("the first events are forgotten already: replay fewer minutes")
    return events


@contextlib.contextmanager
def _tidegate(runtime: str, trace: Trace) -> Iterator[tuple[Place, str]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agreement-")))
        app: Config = {"command": [sys.executable, "-I", "-S", replica_app.__file__]}
        if runtime == "docker":
            made = stack.enter_context(app_image())
            app = {"image": made.image, "volumes": list(made.volumes), "port": APP_PORT}
        gateway, admin = (stack.enter_context(held_port()) for _ in range(2))
        config, url = folder / "tidegate.yaml", f"http://127.0.0.1:{admin}"
        placed = {
            "owner": f"agreement-{os.getpid()}",
            "state_dir": str(folder / "state"),
            "gateway": {"listen": [f"127.0.0.1:{gateway}"]},
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "runtime": runtime,
        }
        config.write_text(yaml.safe_dump({**placed, "services": services(trace, app)}))
        stack.enter_context(tidegate(config, url, folder / "tidegate.log"))
        yield Place("127.0.0.1", gateway), url


def services(trace: Trace, app: Config) -> Config:
    """As the configuration has them; `app` says what a replica runs."""
    return {part.name: {**part.spec(trace.policy, trace.stop_after), **app} for part in trace.parts}
