"""Binding: never over the limit, nobody lost, nobody overtaken."""

import random
from collections import OrderedDict
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cluster.messages import Endpoint
from cluster.model import Address
from gateway.dispatch import Dispatcher, Slot
from gateway.exchange import Exchange


def endpoints(*names: str) -> list[Endpoint]:
    return [Endpoint(name, Address("127.0.0.1", 1000 + ord(name[-1]))) for name in names]


def dispatcher(*names: str, concurrency: int = 0, queue_size: int = 9) -> Dispatcher[int]:
    made: Dispatcher[int] = Dispatcher(random.Random(3))
    made.configure(concurrency=concurrency, queue_size=queue_size, balance="least_in_flight")
    made.update(endpoints(*names))
    return made


def test_a_new_request_never_overtakes_one_that_waits() -> None:
    d = dispatcher("a", concurrency=1)
    slot = d.acquire()
    assert slot is not None
    assert d.acquire() is None
    assert d.wait(1)
    d.release(slot)
    assert d.acquire() is None
    assert d.admit() == (1, slot)


def test_a_shunned_endpoint_gets_nothing_until_reopened() -> None:
    d = dispatcher("a", "b")
    a = d.slots[0]
    d.shun(a)
    assert {d.acquire() for _ in range(3)} == {d.slots[1]}
    assert d.reopen()
    assert not d.reopen()
    assert d.acquire() is a


def test_a_survivor_keeps_its_count_and_one_that_left_drains_once() -> None:
    d = dispatcher("a", "b")
    a, b = d.acquire(), d.acquire()
    assert a is not None
    assert b is not None
    assert d.update(endpoints("b", "c")) == ([a], [])
    assert d.slots[0] is b
    assert (b.in_flight, a.leaving) == (1, True)
    assert d.pending() == (("b", 1), ("a", 1))
    assert d.release(a) is True
    c = d.slots[1]
    assert d.update([]) == ([b, c], ["c"])
    assert d.release(b) is True


def test_one_that_comes_back_is_the_same() -> None:
    d = dispatcher("a")
    a = d.acquire()
    assert a is not None
    assert d.update([]) == ([a], [])
    d.update(endpoints("a"))
    assert d.slots == [a]
    assert d.release(a) is False
    assert d.update([]) == ([a], ["a"])


def test_a_new_address_is_a_new_slot_but_no_departure() -> None:
    d = dispatcher("a")
    old = d.acquire()
    assert old is not None
    gone, drained = d.update([Endpoint("a", Address("127.0.0.1", 9))])
    assert (gone, drained) == ([old], [])
    assert d.slots[0] is not old
    assert d.release(old) is False


def test_one_that_was_bound_before_goes_first() -> None:
    d = dispatcher(queue_size=1)
    assert d.wait(1)
    assert not d.wait(2)
    assert d.wait(3, first=True)
    assert list(d.waiting) == [3, 1]


class Dispatching(RuleBasedStateMachine):
    """Any sequence of arrivals, ends, departures and snapshots."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatcher = dispatcher(concurrency=2, queue_size=5)
        self.number = 0
        self.expected: list[int] = []
        self.bound: dict[int, Slot] = {}
        self.left: set[str] = set()
        self.drained: list[str] = []

    def admit(self) -> None:
        while (pair := self.dispatcher.admit()) is not None:
            waiter, slot = pair
            assert waiter == self.expected.pop(0)
            self.bound[waiter] = slot

    @rule()
    def arrive(self) -> None:
        self.number += 1
        slot = self.dispatcher.acquire()
        if slot is not None:
            assert not self.expected
            self.bound[self.number] = slot
        elif self.dispatcher.wait(self.number):
            self.expected.append(self.number)
        else:
            assert len(self.expected) >= 5

    @precondition(lambda self: self.bound)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.bound)))
        slot = self.bound.pop(one)
        if self.dispatcher.release(slot):
            self.left.remove(slot.endpoint.replica)
        self.admit()

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.expected))
        self.expected.remove(one)
        self.dispatcher.abandon(one)

    @rule(names=st.sets(st.sampled_from("abcd")))
    def snapshot(self, names: set[str]) -> None:
        before = {slot.endpoint.replica for slot in self.dispatcher.slots}
        _, drained = self.dispatcher.update(endpoints(*sorted(names)))
        departed = before - names
        assert set(drained) <= departed
        self.left = (self.left - names) | (departed - set(drained))
        self.admit()

    @rule()
    def shun(self) -> None:
        if self.dispatcher.slots:
            self.dispatcher.shun(self.dispatcher.slots[0])

    @rule()
    def reopen(self) -> None:
        self.dispatcher.reopen()
        self.admit()

    @invariant()
    def limits_hold_and_counts_are_exact(self) -> None:
        for slot in self.dispatcher.slots:
            assert 0 <= slot.in_flight <= 2
        assert sum(count for _, count in self.dispatcher.pending()) == len(self.bound)

    @invariant()
    def nobody_is_lost_and_order_is_kept(self) -> None:
        assert list(self.dispatcher.waiting) == self.expected
        assert len(self.expected) <= 5

    @invariant()
    def those_that_left_still_drain(self) -> None:
        leaving = {slot.endpoint.replica for slot in self.bound.values() if slot.leaving}
        assert leaving == self.left


TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


class Parked:
    """As much of an exchange as parking needs."""

    def __init__(self, number: int) -> None:
        self.number = number


@given(st.lists(st.sampled_from([None, 0, 1, 2, 3, 4, 5]), min_size=20, max_size=60))
def test_who_is_tried_in_vain_keeps_its_turn(steps: list[int | None]) -> None:
    """New ones come at the end; the oldest are taken, some at a time, and fail in any order."""
    slot = Slot(Endpoint("web-1", Address("127.0.0.1", 80)))
    parked = cast(OrderedDict[Parked, None], slot.parked)
    tried: list[Parked] = []
    count = 0
    for step in steps:
        if step is None:
            count += 1
            slot.park(cast(Exchange, Parked(count)))
        elif step < 3 and parked:
            tried.append(parked.popitem(last=False)[0])
        elif tried:
            slot.park(cast(Exchange, tried.pop(step % len(tried))))
        order = [one.number for one in parked]
        assert order == sorted(order)
