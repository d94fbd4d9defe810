"""A gateway process that is killed, or hangs, costs its own requests and no others."""

import asyncio
from pathlib import Path

from tests.e2e.test_many_workers import MANY, WORKERS, limited
from tests.e2e.test_workers import gateways_of
from tests.support.callers import Book, Caller, calling, kill, ports_of, stop
from tests.support.running import Running, app, configuration, tidegate

KILLS = 4
BODY = b"x" * 20_000
PLANS = [
    *[("GET", "one", "/sleep?ms=3", b"", kept) for kept in (True, False) * 4],
    *[("POST", "one", "/echo", BODY, kept) for kept in (True, False) * 2],
    *[("GET", "web", "/sleep?ms=10", b"", kept) for kept in (True, False) * 3],
    *[("POST", "web", "/echo", BODY, kept) for kept in (True, False) * 3],
    *[("PUT", "web", "/echo", BODY, True), ("DELETE", "web", "/", b"", True)],
]


def file_of(folder: Path) -> Path:
    services = {"web": app(), "one": limited(1, min=1, max=1)}
    return configuration(folder, services, gateway=MANY)


async def ready(running: Running) -> None:
    await asyncio.gather(running.get("web"), running.get("one"))


async def goes_on(book: Book, more: int = 30) -> None:
    before = book.served.copy()

    async def served() -> bool:
        return all(book.served[name] >= before[name] + more for name in ("web", "one"))

    await book.running.until(served)


async def successor(running: Running, former: set[int]) -> None:
    """Until a process that was not there before has a client's connection."""

    async def is_there() -> bool:
        present = set(gateways_of(running))
        fresh = present - former
        return len(present) == WORKERS and any(ports_of(pid, running) for pid in fresh)

    await running.until(is_there)


async def test_only_requests_of_the_killed_process_are_lost(tmp_path: Path) -> None:
    """Any method, kept and fresh connections, with and without a limit of one."""
    async with tidegate(file_of(tmp_path)) as running:
        await ready(running)
        book, loop = Book(running), asyncio.get_running_loop()
        took = []
        async with calling(book, *PLANS):
            for _ in range(KILLS):
                await goes_on(book)
                former = sorted(gateways_of(running))
                await kill(former[0], book)
                killed = loop.time()
                await successor(running, set(former))
                took.append(loop.time() - killed)
            await goes_on(book)
        print("seconds until the successor served:", [f"{one:.2f}" for one in took])
        print("lost:", len(book.lost), "of", sum(book.served.values()))
        assert book.wrong == []
        others = {one: what for one, what in book.lost.items() if one not in book.doomed}
        assert others == {}
        assert book.lost  # or nothing was shown
        assert len(running.said("gateway-died")) == KILLS


async def test_connections_it_had_not_accepted_are_served_by_its_successor(tmp_path: Path) -> None:
    """The kernel has given them to its socket already; the control process keeps that."""
    async with tidegate(file_of(tmp_path)) as running:
        await ready(running)
        book = Book(running)
        victim = gateways_of(running)[1]
        await stop(victim)

        async def one(number: int) -> None:
            async with Caller(book) as caller:
                await caller.ask("POST", "web", "/echo", b"%d" % number)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number), name="one") for number in range(60)]

            async def others_are_done() -> bool:
                return 60 > book.served["web"] >= 60 - 2 * 60 // WORKERS

            await running.until(others_are_done)
            assert not all(task.done() for task in tasks)
            await kill(victim, book)
        assert (book.lost, book.wrong) == ({}, [])
        assert book.served["web"] == 60


async def test_a_process_that_hangs_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    """With requests that wait in it, and a place of the only replica in its hands."""
    async with tidegate(file_of(tmp_path)) as running:
        await ready(running)
        book, loop = Book(running), asyncio.get_running_loop()
        async with calling(book, *PLANS):
            await goes_on(book)
            former = gateways_of(running)
            await stop(former[2])
            stopped = loop.time()
            book.note_doomed(former[2])
            unlimited = book.served["web"]

            async def others_serve() -> bool:
                return book.served["web"] > unlimited + 30

            await running.until(others_serve)
            assert not running.said("gateway-hung")
            await successor(running, set(former))
            print(f"replaced after {loop.time() - stopped:.2f} s")
            await goes_on(book)
        assert len(running.said("gateway-hung")) == 1
        assert book.wrong == []
        assert set(book.lost) <= book.doomed, book.lost
