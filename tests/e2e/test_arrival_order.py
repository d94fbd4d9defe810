"""Who has waited longest goes first, whatever process it waits in, also while one is killed."""

import asyncio
import contextlib
from pathlib import Path

from tests.e2e.test_many_workers import MANY, WORKERS, limited
from tests.e2e.test_workers import gateways_of
from tests.support.callers import Book, Caller, kill, ports_of
from tests.support.running import Running, configuration, tidegate

REQUESTS, APART = 60, 0.002  # seconds
# Decision 0005: exact to a millisecond, as soon as a process has read the request; how soon that
# is, is the kernel's part, and this machine may be busy. Any order at all would be over two
# seconds.
SERVED_FOR, BOUND = 60, 0.5  # milliseconds, seconds


def overtaking(order: list[float]) -> float:
    """By how much later one came that was served before another, at most. The moments at which
    they were sent, in the order in which they were served."""
    latest, largest = 0.0, 0.0
    for sent in order:
        largest = max(largest, latest - sent)
        latest = max(latest, sent)
    return largest


def test_how_overtaking_is_told() -> None:
    assert overtaking([1.0, 2.0, 3.0]) == 0
    assert overtaking([1.0, 5.0, 3.0, 2.0, 6.0]) == 3.0


async def arrive(running: Running, *, killed: bool) -> None:
    book, loop = Book(running), asyncio.get_running_loop()
    order: list[float] = []

    async def one(caller: Caller) -> None:
        sent = loop.time()
        if await caller.ask("GET", "web", f"/sleep?ms={SERVED_FOR}"):
            order.append(sent)

    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        callers = [await stack.enter_async_context(Caller(book)) for _ in range(REQUESTS)]
        tasks = []
        for caller in callers:
            tasks.append(group.create_task(one(caller), name="one"))
            await asyncio.sleep(APART)
        spread = [len(ports_of(pid, running)) for pid in gateways_of(running)]
        assert len(order) < REQUESTS - 10  # or there was no queue to keep in order
        if killed:
            await kill(sorted(gateways_of(running))[0], book)
        await asyncio.gather(*tasks)
    print(f"largest overtaking: {overtaking(order) * 1000:.2f} ms of {len(order)}, {spread}")
    assert len(spread) == WORKERS
    assert (set(book.lost) <= book.doomed, book.wrong) == (True, [])
    assert len(order) + len(book.lost) == REQUESTS
    assert overtaking(order) < BOUND


async def test_the_order_of_arrival_holds_over_all_processes(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": limited(1, min=1, max=1)}, gateway=MANY)
    async with tidegate(file) as running:
        await running.get("web")
        await arrive(running, killed=False)
        await arrive(running, killed=True)
