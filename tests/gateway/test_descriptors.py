"""File descriptors run out: what runs goes on, and it recovers at once when some are free."""

import asyncio
import contextlib
import math
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster.messages import Outcome
from config.service import Queue
from gateway import recovery
from gateway.upstream import Upstream
from tests.support.certificates import issue
from tests.support.raw_http import Client, abort, get, say_hello, stage, until

LIMIT = 100
FOR_CLIENTS = 90
START = 30.0  # seconds for a process to come up, on a machine that has much to do
RECOVERY = 8.0  # less than the time of a handshake, after which descriptors fall free anyway


@dataclass
class Small:
    """A gateway with LIMIT descriptors in a process of its own."""

    port: int = 0
    listens: asyncio.Event = field(default_factory=asyncio.Event)
    cpu: list[float] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(Client(reader, writer))
        return self.clients[-1]

    async def read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            word, value = line.split()
            if word == b"listen":
                self.port = int(value)
                self.listens.set()
            else:
                self.cpu.append(float(value))


@contextlib.asynccontextmanager
async def small(replica: int, *files: Path) -> AsyncIterator[Small]:
    made = Small()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.small_gateway", str(LIMIT), str(replica)),
        *map(str, files),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(made.read(process.stdout))
            async with asyncio.timeout(START):
                await made.listens.wait()
            yield made
            reading.cancel()
    finally:
        for client in made.clients:
            abort(client.writer)
        process.kill()
        await process.wait()


@pytest.mark.rule("Tidegate: descriptors", side="client")
async def test_clients_never_hold_the_last_descriptors() -> None:
    """Those who come when nine tenths are taken hear 503, and those beyond the share of their
    service (four fifths of it); all others are still answered."""
    async with stage(say_hello) as s, small(s.replicas[0].address.port) as gateway:
        clients = [await gateway.client() for _ in range(LIMIT * 2)]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(_status(client)) for client in clients]
        served = [c for c, task in zip(clients, asking, strict=True) if task.result() == 200]
        assert FOR_CLIENTS - 30 < len(served) < FOR_CLIENTS
        assert {task.result() for task in asking} <= {200, 503, 0}
        assert 503 in {task.result() for task in asking}
        for client in served:
            assert (await client.ask(get())).status == 200
        abort(served[0].writer)

        async def is_open() -> bool:
            return await _status(await gateway.client()) == 200

        async with asyncio.timeout(RECOVERY):
            while not await is_open():  # noqa: ASYNC110 (it asks another process)
                await asyncio.sleep(0.02)


def _used(cpu: list[float]) -> float:
    return cpu[-1] - cpu[0]


async def _status(client: Client) -> int:
    """0 when the connection ends without an answer."""
    try:
        return (await client.ask(get())).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0


@pytest.mark.rule("Tidegate: descriptors", side="client")
async def test_handshakes_that_take_every_descriptor_stop_nothing(tmp_path: Path) -> None:
    """Clients that say nothing: no busy loop meanwhile, and no delay when they have left."""
    issued = issue(tmp_path, "a", "a.test")
    async with (
        stage(say_hello) as s,
        small(s.replicas[0].address.port, issued.cert, issued.key) as gateway,
    ):
        for _ in range(LIMIT * 2):
            await gateway.client()
        # To accept them takes a moment; a busy loop would never be still.
        count = len(gateway.cpu)
        await until(lambda: len(gateway.cpu) > count + 3 and _used(gateway.cpu[-4:]) < 0.1)
        for client in gateway.clients:
            abort(client.writer)
        context = _trusting(issued.cert)
        async with asyncio.timeout(RECOVERY):
            while True:
                try:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", gateway.port, ssl=context, server_hostname="a.test"
                    )
                    break
                except OSError:
                    await asyncio.sleep(0.02)
        client = Client(reader, writer)
        assert (await client.ask(get())).status == 200
        abort(writer)


def starve(monkeypatch: pytest.MonkeyPatch, times: float) -> None:
    """So many times there is no descriptor for a connection to a replica."""
    connect, left = Upstream._connect, [times]

    async def try_to(upstream: Upstream) -> None:
        if left[0] <= 0:
            await connect(upstream)
        else:
            left[0] -= 1
            upstream._not_connected(recovery.starved)

    monkeypatch.setattr(Upstream, "_connect", try_to)


@pytest.mark.rule("Tidegate: descriptors", side="replica")
async def test_a_request_waits_for_a_descriptor_and_no_replica_is_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starve(monkeypatch, 2)
    async with stage(say_hello) as s:
        clients = [await s.client() for _ in range(2)]
        for client in clients:
            await client.send(get())
        for client in clients:
            assert (await client.answer()).status == 200
        assert s.events.of(Outcome) == []
        assert s.stats().retries == {}


@pytest.mark.rule("Tidegate: descriptors", side="replica")
async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch, math.inf)
    async with stage(say_hello, queue=Queue(timeout=0.3)) as s:
        answer = await (await s.client()).ask(get())
        assert (answer.status, b"queue-timeout" in answer.body) == (503, True)
        assert s.events.of(Outcome) == []
        assert s.stats().in_flight == 0


def _trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cert))


def test_the_soft_limit_is_raised_and_what_we_start_has_the_former_one() -> None:
    """In a process of its own: limits are for good."""
    program = """
import resource, subprocess, tempfile, os
from pathlib import Path
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
from cluster import descriptors
from runtimes.process_group import launch
assert descriptors.limit_of_others() is None
descriptors.raise_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 2**20) > 200
assert descriptors.for_clients() == int(min(hard, 2**20) * 0.9)
out, into = os.pipe()
guard = os.open("/dev/null", os.O_WRONLY)
command = ["/bin/sh", "-c", "ulimit -S -n"]
pid = launch(command, dict(os.environ), Path("/"), guard=guard, stdout=into)
os.waitpid(pid, 0)
print(os.read(out, 100).decode().strip())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("200", "")


def test_nothing_is_raised_where_the_limits_are_the_same() -> None:
    program = """
import resource
from cluster import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
descriptors.raise_limit()
assert descriptors.limit_of_others() is None
assert descriptors.for_clients() == 180
"""
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)
