"""Clients take more memory than Tidegate may have (fault F26), in a real control group."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.e2e.test_workers import gateways_of
from tests.faults.ground import Ground
from tests.faults.judge import CLOSED_WHILE_IDLE, ONLY_REFUSALS, either
from tests.faults.load import Load
from tests.faults.mode import LONG
from tests.faults.record import Outcome
from tests.faults.scenario import WORKERS, Stage, staged
from tests.support.control_group import control_group

MIB = 2**20
PLENTY = 512 * MIB
ROOM = 64 * MIB  # above what it has at rest
GREEDY = 400 if LONG else 300  # clients
HEAD = 512 * 1024  # bytes of a head without an end, of each of them: more than twice the room
PIECE, PAUSE = 16 * 1024, 0.05  # bytes and seconds: they are slow
READERS = 50 if LONG else 20  # clients that read nothing of their answer until all is over
LENGTH = "parts=32&size=32768&pause=0"  # of such an answer, far more than what the sockets take
SECONDS = 10.0 if LONG else 3.0


async def test_memory_runs_short(ground: Ground) -> None:
    """New clients are refused before the kernel kills, what is under way goes on, and with the
    greedy ones gone all is as before."""
    bar = either(ONLY_REFUSALS, CLOSED_WHILE_IDLE)
    web = ground.service(scaling={"min": 2, "max": 2})
    limits = {"headers": "1MiB", "header_timeout": "60s"}
    gateway = {"listen": ["127.0.0.1:0"], "workers": WORKERS, "limits": limits}
    with control_group() as group:
        group.limit(PLENTY)  # whoever begins without a limit does not look for one again
        async with staged(
            ground, "memory-short", bar, {"web": web}, control_group=group.folder, gateway=gateway
        ) as stage:
            group.limit(group.used() + ROOM)
            pids = gateways_of(stage.running)
            async with stage.loaded(60):
                async with slow_readers(stage) as readers, greedy_clients(stage):
                    told = await stage.watch.first("memory-pressure")
                    await stage.running.until(lambda: _some_refused(stage))
                    assert (await stage.running.api("/healthz")).status == 200
                    await asyncio.sleep(SECONDS)
                await stage.watch.first("memory-pressure-over", since=told.at)
                await stage.calm(1)
            assert {one.outcome for one in readers.records} == {Outcome.OK}, readers.records
            assert stage.judged(bar, readers).offences == []
            assert group.kills() == 0
            assert gateways_of(stage.running) == pids
            assert {one.status for one in stage.load.records[-20:]} == {200}
            often = len(stage.watch.of("memory-pressure"))
            stage.notes.append(f"{ROOM // MIB} MiB of room, short of it {often} times, no kill")


async def _some_refused(stage: Stage) -> bool:
    return any(one.code == "memory-pressure" for one in stage.load.records)


@contextlib.asynccontextmanager
async def slow_readers(stage: Stage) -> AsyncIterator[Load]:
    """Their answers have begun, and are read when the block is over."""
    readers = Load(stage.running.gateway, "web.localhost", "slow")
    readers.may_read.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            asked = readers.asked("GET", f"/?{LENGTH}", fresh=True)
            group.create_task(readers.one(asked), name="a slow reader")
        try:
            await stage.calm(1)
            yield readers
        finally:
            readers.may_read.set()


@contextlib.asynccontextmanager
async def greedy_clients(stage: Stage) -> AsyncIterator[None]:
    host, _, port = stage.running.gateway.rpartition(":")
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(GREEDY):
            group.create_task(_be_greedy(host, int(port), done), name="a greedy client")
        try:
            yield
        finally:
            done.set()


async def _be_greedy(host: str, port: int, done: asyncio.Event) -> None:
    """Who is refused comes again."""
    while not done.is_set():
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: web.localhost\r\n")
                await _send_a_head(reader, writer, done)
            finally:
                writer.transport.abort()


async def _send_a_head(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, done: asyncio.Event
) -> None:
    """And keep it there. Returns when it is answered, or `done`."""
    sent = 0
    while not done.is_set():
        if sent < HEAD:
            writer.write(b"X-Large: " + b"x" * (PIECE - 11) + b"\r\n")
            sent += PIECE
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await reader.read(1)
                return
