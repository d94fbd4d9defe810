"""Where faults happen: one kind of runtime, its replicas, and what can be done to them.

Replicas are real processes, or containers of a real engine. What is done to one is done to the
operating system's process, or through the engine by somebody who is not Tidegate.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiodocker
import aiohttp
import yaml

from tests.faults import replica
from tests.support.docker_engine import App, containers_of, engine
from tests.support.held_ports import held_port
from tests.support.process_table import marked
from tests.support.running import Running, configuration

PROGRAM = Path(replica.__file__)
INSIDE = "/opt/tidegate-test/faulty_replica.py"
LEDGER_INSIDE = "/ledger"


class Ground(Protocol):
    """`folder` holds everything of one scenario; `name` is that of the runtime."""

    name: str
    folder: Path

    def service(self, **changes: Any) -> dict[str, Any]: ...
    def file(self, services: dict[str, Any], **top: Any) -> Path: ...
    async def pid(self, running: Running, replica: str) -> int: ...
    async def hang(self, running: Running, replica: str) -> float: ...
    async def present(self, owner: str) -> list[str]: ...
    async def start_alone(self) -> float: ...


@dataclass(slots=True)
class Processes:
    folder: Path
    name: str = "process"

    def service(self, **changes: Any) -> dict[str, Any]:
        command = [sys.executable, "-I", "-S", str(PROGRAM)]
        env = {"LEDGER": str(ledger_of(self.folder)), **changes.pop("env", {})}
        return {"command": command, "env": env, "stop_grace": "2s", **changes}

    def file(self, services: dict[str, Any], **top: Any) -> Path:
        return configuration(self.folder, services, **top)

    async def pid(self, running: Running, replica: str) -> int:
        return int(await tell(running, replica, "/facts"))

    async def hang(self, running: Running, replica: str) -> float:
        """Since when."""
        pid = await self.pid(running, replica)
        at = asyncio.get_running_loop().time()
        os.kill(pid, signal.SIGSTOP)
        return at

    async def present(self, owner: str) -> list[str]:
        """The processes of an owner's replicas that live."""
        return [f"process {pid}" for pid in marked(str(ledger_of(self.folder)))]

    async def start_alone(self) -> float:
        """Seconds from asking the operating system for a replica to its open port."""
        loop = asyncio.get_running_loop()
        with held_port() as port:
            env = {**os.environ, "PORT": str(port), "LEDGER": str(self.folder)}
            begun = loop.time()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(PROGRAM)), env=env
            )
            try:
                await until_open("127.0.0.1", port)
                return loop.time() - begun
            finally:
                process.kill()
                await process.wait()


@dataclass(slots=True)
class Containers:
    folder: Path
    app: App
    name: str = "docker"
    url: str | None = None  # of the engine; None is the usual one
    runtime: Any = "docker"
    mounts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        system = [mount for mount in self.app.volumes if "replica_app" not in mount]
        ledger = f"{ledger_of(self.folder)}:{LEDGER_INSIDE}"
        self.mounts = [*system, f"{PROGRAM}:{INSIDE}:ro", ledger]

    def service(self, **changes: Any) -> dict[str, Any]:
        env = {"LEDGER": LEDGER_INSIDE, **changes.pop("env", {})}
        return {
            "image": self.app.image,
            "command": self._command(),
            "volumes": self.mounts,
            "env": env,
            "stop_grace": "2s",
            **changes,
        }

    def _command(self) -> list[str]:
        python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
        return [str(python), "-I", "-S", INSIDE]

    def file(self, services: dict[str, Any], **top: Any) -> Path:
        return configuration(self.folder, services, runtime=self.runtime, **top)

    async def pid(self, running: Running, replica: str) -> int:
        """As the host sees it. Raises LookupError where it has ended: the engine then says 0, and
        to signal that would be to signal all of our own process group."""
        async with engine(self.url) as docker:
            pid = int((await (await _container(docker, replica)).show())["State"]["Pid"])
        if pid == 0:
            raise LookupError(f"{replica} has ended")
        return pid

    async def hang(self, running: Running, replica: str) -> float:
        """From the call that pauses it; what it takes to find the container is no part of that."""
        async with engine(self.url) as docker:
            container = await _container(docker, replica)
            at = asyncio.get_running_loop().time()
            await container.pause()
        return at

    async def present(self, owner: str) -> list[str]:
        return await containers_of(owner, self.url)

    async def start_alone(self) -> float:
        """Seconds from asking the engine for a container to its open port."""
        loop = asyncio.get_running_loop()
        async with engine(self.url) as docker:
            spec: dict[str, Any] = {
                "Image": self.app.image,
                "Cmd": self._command(),
                "Env": ["PORT=8080", "LEDGER=/tmp"],
                "HostConfig": {"Binds": self.mounts},
            }
            begun = loop.time()
            container = await docker.containers.create(spec)
            try:
                await container.start()
                facts = await container.show()
                networks = facts["NetworkSettings"]["Networks"]
                await until_open(next(iter(networks.values()))["IPAddress"], 8080)
                return loop.time() - begun
            finally:
                await container.delete(force=True, v=True)


async def _container(docker: aiodocker.Docker, replica: str) -> Any:
    marks = {"label": [f"tidegate.replica={replica}"]}
    (found,) = await docker.containers.list(filters=marks)
    return found


def ledger_of(folder: Path) -> Path:
    place = folder / "ledger"
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    return place


def owner_of(file: Path) -> str:
    return str(yaml.safe_load(file.read_text())["owner"])


async def tell(running: Running, replica: str, path: str) -> str:
    """Ask a replica at its own address, as no client can."""
    known = [
        one
        for service in (await running.api("/v1/services")).json["services"]
        for one in service["replicas"]
        if one["id"] == replica
    ]
    if not known:
        raise LookupError(replica)
    patience = aiohttp.ClientTimeout(total=5)
    async with running.client.get(f"http://{known[0]['address']}{path}", timeout=patience) as said:
        return await said.text()


async def until_open(host: str, port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.transport.abort()
                return
            await asyncio.sleep(0.001)


async def ready(running: Running, service: str = "web") -> list[str]:
    """Their names, the oldest first."""
    return [one["id"] for one in await running.replicas(service, "ready")]


async def until_ready(running: Running, count: int, service: str = "web") -> list[str]:
    async def are_ready() -> bool:
        return len(await ready(running, service)) == count

    await running.until(are_ready)
    return await ready(running, service)


@contextlib.asynccontextmanager
async def killed_afterwards(pids: Iterable[int]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def until_some(
    running: Running, service: str = "web", but: Collection[str] = ()
) -> list[str]:
    """Those that are ready, the oldest first, but these."""
    found: list[str] = []

    async def are_there() -> bool:
        found[:] = [one for one in await ready(running, service) if one not in but]
        return bool(found)

    await running.until(are_there)
    return found
