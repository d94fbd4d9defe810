"""Dispatchers that share places: together never over the limit, and every place comes back."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cluster.messages import Endpoint
from cluster.model import Address
from gateway.dispatch import Dispatcher, Slot
from gateway.peers import JUST_CAME

NAMES = ("a", "b")
LIMIT = 2


class Pool:
    """The places of one replica in plain memory."""

    def __init__(self) -> None:
        self.free = LIMIT


class Tokens:
    def __init__(self, peers: "Peers", pool: Pool) -> None:
        self.peers, self.pool = peers, pool

    def take(self, since: int) -> bool:
        others = [peers.since for peers in self.peers.all if peers is not self.peers]
        if any(other and (since == JUST_CAME or other < since) for other in others):
            return False
        if not self.pool.free:
            return False
        self.pool.free -= 1
        return True

    def adopt(self, count: int) -> None:
        self.pool.free -= count

    def give(self) -> None:
        self.pool.free += 1


class Peers:
    def __init__(self, everyone: "list[Peers]", pools: dict[str, Pool], clock: list[int]) -> None:
        self.all, self.pools, self.clock = everyone, pools, clock
        self.since = 0

    def tokens(self, replica: str) -> Tokens:
        return Tokens(self, self.pools[replica])

    def stamp(self) -> int:
        self.clock[0] += 1
        return self.clock[0]

    def waiting(self, since: int) -> None:
        self.since = since


def endpoints(names: set[str]) -> list[Endpoint]:
    return [Endpoint(name, Address("127.0.0.1", ord(name))) for name in sorted(names)]


class Sharing(RuleBasedStateMachine):
    """Two dispatchers; any arrivals, ends, retries and snapshots."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = {name: Pool() for name in NAMES}
        self.peers: list[Peers] = []
        clock = [1]
        self.dispatchers: list[Dispatcher[int]] = []
        for _ in range(2):
            self.peers.append(Peers(self.peers, self.pools, clock))
            made: Dispatcher[int] = Dispatcher(random.Random(1))
            made.configure(
                concurrency=LIMIT, queue_size=4, balance="least_in_flight", slow_start=30.0
            )
            made.share(self.peers[-1])
            made.update(endpoints(set(NAMES)))
            self.dispatchers.append(made)
        self.now = 0.0
        self.bound: list[tuple[int, Slot]] = []
        self.number = 0

    def admit(self) -> None:
        """Until nobody can go on, as bells would have it."""
        moved = True
        while moved:
            moved = False
            for which, dispatcher in enumerate(self.dispatchers):
                while (pair := dispatcher.admit()) is not None:
                    self.bound.append((which, pair[1]))
                    moved = True

    @rule(which=st.integers(0, 1))
    def arrive(self, which: int) -> None:
        self.number += 1
        slot = self.dispatchers[which].acquire()
        if slot is not None:
            self.bound.append((which, slot))
        else:
            self.dispatchers[which].wait(self.number)
            self.admit()

    @precondition(lambda self: self.bound)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        which, slot = self.bound.pop(data.draw(st.integers(0, len(self.bound) - 1)))
        if data.draw(st.booleans()):
            slot.vacate()  # its answer was read whole
        self.dispatchers[which].release(slot)
        self.admit()

    @precondition(lambda self: self.bound)
    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        which, slot = self.bound.pop(data.draw(st.integers(0, len(self.bound) - 1)))
        dispatcher = self.dispatchers[which]
        dispatcher.release(slot)
        if dispatcher.reacquire(slot):
            self.bound.append((which, slot))
        else:
            dispatcher.wait(0, first=True)
        self.admit()

    @rule(which=st.integers(0, 1), names=st.sets(st.sampled_from(NAMES)))
    def snapshot(self, which: int, names: set[str]) -> None:
        self.now += 1
        self.dispatchers[which].update(endpoints(names), self.now)
        self.admit()

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([1, 10, 100]))
    def grow(self, which: int, seconds: int) -> None:
        self.now += seconds
        self.dispatchers[which].grow(self.now)

    @rule(which=st.integers(0, 1))
    def leave_the_queue(self, which: int) -> None:
        if waiting := self.dispatchers[which].waiting:
            self.dispatchers[which].abandon(next(iter(waiting)))
            self.admit()

    @invariant()
    def what_is_held_and_what_is_free_is_all(self) -> None:
        for name, pool in self.pools.items():
            held = sum(slot.endpoint.replica == name for _, slot in self.bound)
            assert 0 <= held <= LIMIT
            assert held + pool.free == LIMIT

    @invariant()
    def nobody_waits_while_the_oldest_could_go(self) -> None:
        """However new the replica is that has room."""
        waiting = [d for d in self.dispatchers if d.waiting]
        for dispatcher in waiting:
            if next(iter(dispatcher.waiting.values())) == min(
                p.since for p in self.peers if p.since
            ):
                for slot in dispatcher.slots:
                    assert not self.pools[slot.endpoint.replica].free

    @invariant()
    def peers_know_who_waits(self) -> None:
        for peers, dispatcher in zip(self.peers, self.dispatchers, strict=True):
            assert peers.since == next(iter(dispatcher.waiting.values()), 0)


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_a_service_that_loses_its_limit_gives_every_place_back() -> None:
    pools = {name: Pool() for name in NAMES}
    peers = Peers([], pools, [1])
    dispatcher: Dispatcher[int] = Dispatcher(random.Random(1))
    dispatcher.configure(concurrency=LIMIT, queue_size=4, balance="least_in_flight")
    dispatcher.share(peers)
    dispatcher.update(endpoints({"a"}))
    slot = dispatcher.acquire()
    assert slot is not None
    dispatcher.wait(1)
    dispatcher.configure(concurrency=0, queue_size=4, balance="least_in_flight")
    dispatcher.share(None)
    assert (pools["a"].free, peers.since) == (LIMIT, 0)
    dispatcher.share(peers)
    # With its first limit, what is in flight already has a place.
    assert pools["a"].free == LIMIT - 1
    dispatcher.release(slot)
    assert pools["a"].free == LIMIT


@pytest.mark.parametrize("theirs", range(LIMIT + 1))
def test_a_request_goes_to_a_new_replica_when_the_old_one_has_no_place(theirs: int) -> None:
    """Whether peers have its places or we do."""
    pools = {name: Pool() for name in NAMES}
    dispatcher: Dispatcher[int] = Dispatcher(random.Random(1))
    dispatcher.configure(
        concurrency=LIMIT, queue_size=4, balance="first_available", slow_start=30.0
    )
    dispatcher.share(Peers([], pools, [1]))
    dispatcher.update(endpoints({"a"}))
    dispatcher.update(endpoints({"a", "b"}), 100.0)
    pools["a"].free -= theirs
    free = 2 * LIMIT - theirs
    slots = [slot for _ in range(free) if (slot := dispatcher.acquire()) is not None]
    assert len(slots) == free
    assert dispatcher.acquire() is None
