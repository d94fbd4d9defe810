"""What an engine needs by itself: start until the port is open, and thaw until it answers.

The yardstick for a wake through Tidegate: the same container or process, started by the engine's
own API without anything between.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import aiodocker
from aiodocker.containers import DockerContainer

from loadtests.client import Place, get, until_open
from loadtests.system import free_port

OPEN_WITHIN = 30.0
NAME = "tidegate-bench-alone"


class Engine(Protocol):
    """Seconds that the engine alone takes."""

    async def start(self) -> float:
        """From asking for the start to the open port; the instance is gone on return."""

    async def thaw(self) -> float:
        """From asking for the thaw to the last byte of an answer."""


class Processes:
    """Processes of this machine, frozen by SIGSTOP as the process runtime does."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    async def start(self) -> float:
        loop = asyncio.get_running_loop()
        place = Place("127.0.0.1", free_port())
        began = loop.time()
        async with self._running(place):
            await until_open(place, OPEN_WITHIN)
            return loop.time() - began

    async def thaw(self) -> float:
        loop = asyncio.get_running_loop()
        place = Place("127.0.0.1", free_port())
        async with self._running(place) as process:
            await until_open(place, OPEN_WITHIN)
            await get(place, "alone")
            process.send_signal(signal.SIGSTOP)
            began = loop.time()
            process.send_signal(signal.SIGCONT)
            await get(place, "alone")
            return loop.time() - began

    @contextlib.asynccontextmanager
    async def _running(self, place: Place) -> AsyncIterator[asyncio.subprocess.Process]:
        env = {**os.environ, "PORT": str(place.port)}
        process = await asyncio.create_subprocess_exec(*self._command, env=env)
        try:
            yield process
        finally:
            process.kill()
            await process.wait()


class Containers:
    """Containers like one that Tidegate made, without its labels."""

    def __init__(self, docker: aiodocker.Docker, like: dict[str, Any], port: int) -> None:
        self._docker = docker
        self._port = port
        wanted = ("Image", "Cmd", "Env", "ExposedPorts")
        self._spec = {key: like["Config"][key] for key in wanted} | {
            "HostConfig": like["HostConfig"]
        }

    async def start(self) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self._running() as container:
            await until_open(await self._place(container), OPEN_WITHIN)
            return loop.time() - began

    async def thaw(self) -> float:
        loop = asyncio.get_running_loop()
        async with self._running() as container:
            place = await self._place(container)
            await until_open(place, OPEN_WITHIN)
            await get(place, "alone")
            await container.pause()
            began = loop.time()
            await container.unpause()
            await get(place, "alone")
            return loop.time() - began

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[DockerContainer]:
        container = await self._docker.containers.create(self._spec, name=f"{NAME}-{os.getpid()}")
        try:
            await container.start()
            yield container
        finally:
            await container.delete(force=True, v=True)

    async def _place(self, container: DockerContainer) -> Place:
        networks = (await container.show())["NetworkSettings"]["Networks"]
        return Place(next(iter(networks.values()))["IPAddress"], self._port)


async def container_of(docker: aiodocker.Docker, owner: str, service: str) -> dict[str, Any]:
    """The engine's own description of a service's container. Raises LookupError without one."""
    marks = {"label": [f"tidegate.owner={owner}", f"tidegate.service={service}"]}
    found = await docker.containers.list(filters=marks)
    if not found:
        raise LookupError(f"no container of {service} by {owner}")
    return dict(await found[0].show())


async def gone(docker: aiodocker.Docker, owner: str, service: str) -> bool:
    """Whether the engine has no container of this service any more, in whatever state."""
    marks = {"label": [f"tidegate.owner={owner}", f"tidegate.service={service}"]}
    return not await docker.containers.list(all=True, filters=marks)


async def paused(docker: aiodocker.Docker, owner: str, service: str) -> bool:
    """Whether the engine has a container of this service, and it is frozen."""
    marks = {"label": [f"tidegate.owner={owner}", f"tidegate.service={service}"]}
    return bool(await docker.containers.list(filters={**marks, "status": ["paused"]}))
