"""Limits on sums over processes: never passed, and hardly ever missed.

Real shared memory; the processes are objects of this one, or threads that get in each other's way.
"""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.messages import Drained, LoadReport, Outcome, Wake
from config.settings import Gateway, Limits
from gateway import problems
from gateway.context import Context
from gateway.dispatch import Dispatcher
from gateway.fields import Peer
from tidegate.board import Board
from tidegate.counts import Clients, Count
from tidegate.shares import Shares

ROWS = 4
addresses = st.sampled_from([b"10.0.0.%d" % number for number in range(5)] + [b"::1"])


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(ROWS)
    yield made
    made.close()


def counts(board: Board, line: int = 3) -> list[Count]:
    cells = [board.queue(row, line) for row in range(ROWS)]
    return [Count(board, row, cells) for row in range(ROWS)]


def test_each_tells_its_own_and_all_see_the_sum(board: Board) -> None:
    made = counts(board)
    for row, count in enumerate(made):
        count.tell(10 + row)
    made[1].tell(0)
    assert {count.total() for count in made} == {10 + 12 + 13}
    assert counts(board, line=4)[0].total() == 0


def test_what_a_dead_process_had_counts_no_more(board: Board) -> None:
    made, clients = counts(board), [Clients(board, row) for row in range(ROWS)]
    for count, table in zip(made, clients, strict=True):
        count.tell(5)
        table.tell(b"10.0.0.1", 7)
    board.clear(2)
    assert made[0].total() == 15
    assert clients[0].total(b"10.0.0.1", 7) == 21
    assert clients[2].total(b"10.0.0.1", 0) == 21


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), addresses, st.integers(0, 5)), max_size=60))
@settings(deadline=None)
def test_addresses_are_told_apart_over_all_processes(told: list[tuple[int, bytes, int]]) -> None:
    board = Board.create(ROWS)
    tables = [Clients(board, row) for row in range(ROWS)]
    truth: dict[tuple[int, bytes], int] = {}
    for row, ip, here in told:
        truth[row, ip] = here
        tables[row].tell(ip, here)
        for asked in range(ROWS):
            own = truth.get((asked, ip), 0)
            total = sum(truth.get((one, ip), 0) for one in range(ROWS))
            assert tables[asked].total(ip, own) == total
    board.close()


def test_thousands_of_addresses_come_and_go(board: Board) -> None:
    """More than ever are here at once: a place that fell free is used again."""
    ours, theirs = Clients(board, 0), Clients(board, 1)
    rng, here = random.Random(1), Counter[bytes]()
    for number in range(60_000):
        ip = b"10.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)
        here[ip] = number % 9 + 1
        ours.tell(ip, here[ip])
        if len(here) > 5000:
            gone = next(iter(here))
            del here[gone]
            ours.tell(gone, 0)
    for ip in rng.sample(sorted(here), 500):
        assert theirs.total(ip, 0) == here[ip]
    assert theirs.total(b"10.0.0.1", 0) == 0


def test_a_full_bucket_counts_at_home_alone(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [Clients(board, row) for row in range(2)]
    for table in tables:
        monkeypatch.setattr(table, "_place", lambda ip: (int(ip) + 1, 0))
    for number in range(17):
        tables[0].tell(b"%d" % number, 2)
    assert [tables[1].total(b"%d" % number, 1) for number in range(17)] == [3] * 16 + [1]
    tables[0].tell(b"16", 0)
    assert tables[1].total(b"15", 1) == 3


class Interrupted(Count):
    """Between any two steps the others go on."""

    def tell(self, here: int) -> None:
        time.sleep(0)
        super().tell(here)
        time.sleep(0)

    def total(self) -> int:
        time.sleep(0)
        return super().total()


def test_a_queue_is_never_longer_and_hardly_shorter_than_its_size(board: Board) -> None:
    """All processes come for the last places at once; refused is who finds fewer than there are
    processes (decision 0005)."""
    size, each, rounds = 10, 6, 200
    cells = [board.queue(row, 3) for row in range(ROWS)]
    queues = [Dispatcher[int](random.Random(1)) for _ in range(ROWS)]
    for row, queue in enumerate(queues):
        queue.configure(concurrency=1, queue_size=size, balance="least_in_flight")
        queue.share(None, Interrupted(board, row, cells))
    barrier = threading.Barrier(ROWS + 1)

    def come(queue: Dispatcher[int]) -> None:
        for _ in range(rounds):
            barrier.wait()
            for waiter in range(each):
                queue.wait(waiter)
            barrier.wait()

    threads = [threading.Thread(target=come, args=(queue,)) for queue in queues]
    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    lengths = Counter[int]()
    try:
        for thread in threads:
            thread.start()
        for _ in range(rounds):
            barrier.wait()
            barrier.wait()
            lengths[sum(len(queue.waiting) for queue in queues)] += 1
            for queue in queues:
                for waiter in list(queue.waiting):
                    queue.abandon(waiter)
    finally:
        sys.setswitchinterval(former)
        for thread in threads:
            thread.join()
    print("lengths:", dict(lengths))
    assert max(lengths) <= size
    assert min(lengths) > size - ROWS
    assert counts(board)[0].total() == 0


async def test_a_limit_by_address_that_a_reload_sets_knows_who_is_here_already() -> None:
    """In all processes: each tells the others of its clients once there is such a limit."""
    board = Board.create(2)
    contexts = []
    for row in range(2):
        everyone = Shares(board, row, [], lambda _: None, lambda _: None)
        contexts.append(Context(Gateway(), Unheard(), random.Random(1), "gateway", everyone))
    peer = Peer(b"10.0.0.1", b"http", False, b"")
    for context in contexts:
        for _ in range(2):
            assert context.admission.enter(peer, None) is None
    for context in contexts:
        context.limit(Limits(connections_per_client=4))
    assert contexts[1].admission.enter(peer, None) is problems.TOO_MANY_OF_CLIENT
    contexts[1].admission.leave(peer)
    contexts[0].admission.leave(peer)
    assert contexts[1].admission.enter(peer, None) is None
    board.close()


class Unheard:
    def wake(self, message: Wake) -> None: ...
    def report(self, message: LoadReport) -> None: ...
    def outcome(self, message: Outcome) -> None: ...
    def drained(self, message: Drained) -> None: ...
