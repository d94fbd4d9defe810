"""One page of counts for several gateway processes, also while one of them is being replaced.

Real gateway processes; the control process is the test, so that it can look at every moment.
"""

import asyncio
import contextlib
import errno
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cluster import wire
from cluster.events import Events
from cluster.messages import Drained, Endpoint, EndpointSnapshot, LoadReport, Outcome, Wake
from cluster.model import Address
from cluster.tasks import Tasks
from config.service import Service
from config.settings import Gateway as Settings
from tests.support.raw_http import Client, get
from tests.support.running import descendants, is_alive
from tidegate.board import held
from tidegate.link import Link
from tidegate.metrics import GatewayCollector
from tidegate.offer import found
from tidegate.workers import Workers

DEADLINE = 30.0
Samples = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is slow on a busy machine tells its counts of now, not of before."""
    monkeypatch.setattr("tidegate.workers.COUNT_DEADLINE", DEADLINE)


class Told:
    """What the gateway said."""

    def __init__(self) -> None:
        self.reports: dict[str, LoadReport] = {}

    def wake(self, message: Wake) -> None: ...
    def outcome(self, message: Outcome) -> None: ...
    def drained(self, message: Drained) -> None: ...

    def report(self, message: LoadReport) -> None:
        self.reports[message.source] = message


class World:
    """Two gateway processes, a replica that answers when it is told to, and clients."""

    def __init__(self, workers: Workers, told: Told, events: Events, address: Address) -> None:
        self.workers = workers
        self.events = events
        self.told = told
        self.address = address
        self.clients: list[Client] = []
        self.may_answer = asyncio.Event()

    async def client(self) -> Client:
        made = Client(*await asyncio.open_connection(self.address.host, self.address.port))
        self.clients.append(made)
        return made

    def samples(self) -> tuple[Samples, Samples]:
        """Counters (histograms are such), and gauges."""
        counters: Samples = {}
        gauges: Samples = {}
        now = asyncio.get_running_loop().time()
        for family in GatewayCollector(lambda: self.workers.stats(now)).collect():
            found = gauges if family.type == "gauge" else counters
            for one in family.samples:
                found[one.name, *map(str, sorted(one.labels.items()))] = one.value
        return counters, gauges

    async def gauge(self, name: str) -> float:
        await self.workers.refresh()
        return sum(value for key, value in self.samples()[1].items() if key[0] == name)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while b"/slow" not in await reader.readuntil(b"\r\n\r\n") or await self.slow():
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async def slow(self) -> bool:
        return await self.may_answer.wait()


@contextlib.asynccontextmanager
async def world(
    count: int = 2, concurrency: int = 0, offers: Path | None = None
) -> AsyncIterator[World]:
    told, events = Told(), Events(time.time)
    settings = Settings(listen=("127.0.0.1:0",), workers=count)
    web = Service(name="web", endpoints=("127.0.0.1:9",), concurrency=concurrency)
    async with Tasks() as tasks:
        workers = Workers(settings, told, events, tasks, (), offers, DEADLINE)
        workers.configure({"web": web}, settings)
        (address,) = await workers.start()
        made = World(workers, told, events, address)
        replica = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        async with replica:
            there = Address("127.0.0.1", replica.sockets[0].getsockname()[1])
            workers.apply(EndpointSnapshot("web", 1, (Endpoint("web-1", there),)))
            try:
                yield made
            finally:
                for client in made.clients:
                    client.writer.close()
                made.may_answer.set()
                await workers.drain(0)


def gateways() -> set[int]:
    found = set()
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            if b"tidegate.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await condition():  # noqa: ASYNC110 (it asks other processes)
            await asyncio.sleep(0.01)


async def test_no_counter_falls_while_processes_are_killed_and_replaced() -> None:
    """rate() of Prometheus takes a smaller number for a restart, and shows a peak that was none."""
    async with world() as w:
        await w.workers.refresh()
        for _ in range(30):
            client = await w.client()
            assert (await client.ask(get(host="web.localhost"))).status == 200
            assert (await client.ask(get(host="nobody.localhost"))).status == 404
        await w.workers.refresh()
        counters, _ = w.samples()
        assert counters["tidegate_requests_total", "('code', '200')", "('service', 'web')"] == 30
        assert counters["tidegate_requests_total", "('code', '404')", "('service', '')"] == 30
        looks = 0
        for pid in sorted(gateways()):
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(DEADLINE):
                while is_alive(pid) or len(gateways()) < 2 or len(w.workers._workers) < 2:
                    for _ in range(50):
                        former, (counters, _) = counters, w.samples()
                        looks += 1
                        fell = {key for key in former if counters.get(key, -1) < former[key]}
                        assert not fell, fell
                        await asyncio.sleep(0)
            await w.workers.refresh()
        print("looks:", looks)
        counters, _ = w.samples()
        assert counters["tidegate_requests_total", "('code', '200')", "('service', 'web')"] == 30
        name = "tidegate_request_duration_seconds_count"
        assert counters[name, "('service', 'web')"] == 30


async def test_a_gateway_whose_process_hangs_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w, asyncio.timeout(DEADLINE):
        await w.workers.refresh()
        stopped = min(gateways())
        os.kill(stopped, signal.SIGSTOP)
        # Not before: one that is only slow to start would be taken for one that hangs.
        monkeypatch.setattr("tidegate.living.ASK_EVERY", 0.1)
        await w.workers.drain(0)
        assert not is_alive(stopped)


async def test_one_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the machine has no memory or no process to spare just then."""
    async with world() as w:
        former, failures = gateways(), 0
        spawn = w.workers._spawn

        async def fails_first(*arguments: Any) -> asyncio.subprocess.Process:
            nonlocal failures
            failures += 1
            if failures == 1:
                raise OSError(errno.EAGAIN, "no process to spare")
            return await spawn(*arguments)

        monkeypatch.setattr(w.workers, "_spawn", fails_first)
        os.kill(min(former), signal.SIGKILL)

        async def replaced() -> bool:
            return len(gateways() - former) == 1 and len(w.workers._workers) == 2

        await until(replaced)
        assert failures == 2
        assert (await (await w.client()).ask(get(host="web.localhost"))).status == 200


async def test_gauges_and_load_lose_the_share_of_a_killed_process() -> None:
    async with world() as w:
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                client = await w.client()
                group.create_task(client.send(get("/slow", host="web.localhost")), name="slow")

        async def all_are_in_flight() -> bool:
            return await w.gauge("tidegate_in_flight") == 20 and len(w.told.reports) == 2

        await until(all_are_in_flight)
        assert await w.gauge("tidegate_connections") == 20
        (first, *_) = former = sorted(gateways())
        os.kill(first, signal.SIGKILL)

        async def replaced() -> bool:
            return len(gateways() - set(former)) == 1 and len(w.workers._workers) == 2

        await until(replaced)
        left = sum(not client.reader.at_eof() for client in w.clients)
        assert 0 < left < 20
        assert await w.gauge("tidegate_in_flight") == left
        assert await w.gauge("tidegate_connections") == left

        async def load_is_right() -> bool:
            return sum(report.in_flight for report in w.told.reports.values()) == left

        await until(load_is_right)


async def test_memory_is_no_longer_short_when_the_process_is_gone_that_said_so() -> None:
    async with world() as w:
        assert await w.gauge("tidegate_shedding") == 0
        (row, pid), *_ = w.workers._pids.items()
        worker = w.workers._workers[f"gateway-{row}"]
        short = wire.decode(wire.encode(wire.Shedding(True, "420MiB of 512MiB are used")))
        w.workers._hear(worker, short, asyncio.get_running_loop().create_future())
        os.kill(pid, signal.SIGKILL)

        async def replaced() -> bool:
            present = w.workers._workers
            return len(present) == 2 and worker not in present.values()

        await until(replaced)
        kinds = [one.kind for one in w.events.since()]
        assert kinds == ["memory-pressure", "memory-pressure-over", "gateway-died"]


async def test_one_that_was_taken_keeps_its_places_and_is_no_more_ours(tmp_path: Path) -> None:
    """A new control process took them and died before it was ready: those that we start then have
    places of their own, and touch nothing of the former ones."""
    async with world(concurrency=2, offers=tmp_path) as w:
        for _ in range(2):
            await (await w.client()).send(get("/slow", host="web.localhost"))

        async def are_in_flight() -> bool:
            return await w.gauge("tidegate_in_flight") == 2

        await until(are_in_flight)
        sharing, former = w.workers._sharing, gateways()
        assert sharing is not None
        offers = [tmp_path / f"{pid}.sock" for pid in w.workers.pids()]
        w.workers.let_go(True)
        links = [await taken(path) for path in offers]

        async def have_left() -> bool:
            return not w.workers._workers

        await until(have_left)
        assert not w.workers.pids()
        ((_, shared),) = sharing.everything()
        assert sum(map(held, sharing._held_words(shared))) == 2
        with pytest.raises(BlockingIOError):
            os.eventfd_read(shared.descriptor)

        w.workers.let_go(False)

        async def are_there_again() -> bool:
            return len(gateways() - former) == 2 and len(w.workers.pids()) == 2

        await until(are_there_again)
        for link in links:
            link.send(wire.Drain(DEADLINE))
        assert w.workers._sharing is not sharing
        w.may_answer.set()
        for client in w.clients[:2]:
            assert (await client.answer()).status == 200

        for link in links:
            link.close()

        async def are_gone() -> bool:
            return not any(map(is_alive, former))

        await until(are_gone)
        for _ in range(8):
            assert (await (await w.client()).ask(get(host="web.localhost"))).status == 200


async def taken(path: Path) -> Link:
    one = await asyncio.to_thread(found, path)
    assert one is not None
    link = await Link.over(one.end)
    for lent in one.lent.values():
        lent.close()
    link.send(wire.TakeOver())
    return link
