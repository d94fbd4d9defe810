"""A whole Tidegate in a process of its own, as a user runs it, and a client for it.

Ports are the kernel's choice and read from the log. Whatever happens in the block, the process and
all that it started are gone afterwards, or the test fails.
"""

import asyncio
import contextlib
import functools
import os
import resource
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from tests.support import replica_app

DEADLINE = 30.0
APP = [sys.executable, "-I", "-S", str(Path(replica_app.__file__))]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(slots=True)
class Running:
    """A Tidegate that said it is ready."""

    process: asyncio.subprocess.Process
    client: aiohttp.ClientSession
    file: Path
    gateway: str = ""
    admin: str = ""
    log: list[dict[str, Any]] = field(default_factory=list)

    async def get(self, service: str, path: str = "/", **options: Any) -> Answer:
        return await self.request("GET", service, path, **options)

    async def request(self, method: str, service: str, path: str = "/", **options: Any) -> Answer:
        headers = {"Host": f"{service}.localhost", **options.pop("headers", {})}
        url = f"http://{self.gateway}{path}"
        async with self.client.request(method, url, headers=headers, **options) as answer:
            return Answer(answer.status, await answer.read(), dict(answer.headers))

    async def api(self, path: str, method: str = "GET", **options: Any) -> Answer:
        async with self.client.request(method, f"http://{self.admin}{path}", **options) as answer:
            return Answer(answer.status, await answer.read(), dict(answer.headers))

    async def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.api(f"/v1/services/{name}")).json
        return found

    async def replicas(self, name: str, *states: str) -> list[dict[str, Any]]:
        """Those in one of the states, all when none is named."""
        present = (await self.service(name))["replicas"]
        return [replica for replica in present if not states or replica["state"] in states]

    async def until(
        self, condition: Callable[[], Awaitable[object]], within: float = DEADLINE
    ) -> None:
        """Looks again and again until it is true; fails with the log when it never is."""
        try:
            async with asyncio.timeout(within):
                while not await condition():  # noqa: ASYNC110 (it looks over HTTP)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            told = "\n".join(str(line.get("message")) for line in self.log[-30:])
            raise AssertionError(f"not within {within} s; the log says:\n{told}") from None

    async def end(self, number: int = signal.SIGTERM, within: float = DEADLINE) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def kill(self) -> None:
        """SIGKILL to the control process alone; whoever has its log open may go on."""
        self.process.kill()
        async with asyncio.timeout(DEADLINE):
            while is_alive(self.process.pid):  # noqa: ASYNC110 (asyncio waits for its pipes too)
                await asyncio.sleep(0.005)

    def said(self, kind: str) -> list[str]:
        return [str(line["message"]) for line in self.log if line.get("kind") == kind]


@contextlib.asynccontextmanager
async def tidegate(
    file: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    descriptors: int | None = None,
    control_group: Path | None = None,
) -> AsyncIterator[Running]:
    """`tidegate run` on a configuration file. `env` comes on top of our own environment;
    `descriptors` is how many each of its processes may have, `control_group` theirs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidegate", "run", "--config", str(file)),
        *("--log-format", "json", *arguments),
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
        env={**os.environ, **(env or {})},
        preexec_fn=functools.partial(_confined, descriptors, control_group)
        if descriptors or control_group
        else None,
    )
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as client:
        running = Running(process, client, file)
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(_read_log(running, ready), name="read the log")
            try:
                async with asyncio.timeout(DEADLINE):
                    await ready.wait()
                assert running.gateway, f"it ended before it was ready: {running.log}"
                yield running
            finally:
                await _end_for_good(process)


def _confined(descriptors: int | None, control_group: Path | None) -> None:
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    if control_group:
        (control_group / "cgroup.procs").write_text("0")


async def _read_log(running: Running, ready: asyncio.Event) -> None:
    assert running.process.stderr
    async for line in running.process.stderr:
        record = orjson.loads(line) if line.startswith(b"{") else {"message": line.decode()}
        running.log.append(record)
        if record.get("kind") == "ready":
            running.gateway, running.admin = record["listen"][0], record["admin"]
            ready.set()
    ready.set()


async def _end_for_good(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(DEADLINE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError("Tidegate did not end on SIGTERM") from None


def configuration(folder: Path, services: Mapping[str, Any], **top: Any) -> Path:
    """A file with everything on ports of the kernel's choice and an owner of its own."""
    content = {
        "owner": f"test-{uuid.uuid4().hex[:10]}",
        "state_dir": str(folder / "state"),
        "gateway": {"listen": ["127.0.0.1:0"], "workers": 0},
        "admin": {"listen": "127.0.0.1:0"},
        "services": dict(services),
    }
    return write(folder / "tidegate.yaml", {**content, **top})


def write(file: Path, content: Mapping[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return file


def app(**changes: Any) -> dict[str, Any]:
    """A service of the test application on the process runtime."""
    return {"command": list(APP), **changes}


def is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> set[int]:
    """All living processes below this one, found by their parents."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            facts = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            if facts[0] != "Z":
                parents[int(entry)] = int(facts[1])
    found: set[int] = set()
    grown = {pid}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found
