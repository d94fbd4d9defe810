"""Places for waiting requests of all services: bounded, and nobody gets all of them."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch import Dispatcher
from gateway.held import ASSURED, Held, is_fair
from tests.gateway.test_dispatch import dispatcher


@dataclass
class Shared:
    """One process's part of a number that two have."""

    parts: dict[int, int]
    own: int

    def tell(self, here: int) -> None:
        self.parts[self.own] = here

    def total(self) -> int:
        return sum(self.parts.values())


def held(limit: int) -> Held:
    made = Held()
    made.limit = limit
    return made


def queueing(of: Held, size: int = 10_000) -> Dispatcher[int]:
    made: Dispatcher[int] = Dispatcher(random.Random(3), of)
    made.configure(concurrency=1, queue_size=size, balance="least_in_flight")
    return made


def fill(queue: Dispatcher[int], first: int = 0) -> int:
    """How many may wait before one may not."""
    count = first
    while queue.wait(count):
        count += 1
    return count - first


@pytest.mark.rule("Tidegate: held requests", side="client")
def test_one_gets_four_fifths_and_the_rest_stays_free() -> None:
    of = held(900)
    greedy, other = queueing(of), queueing(of)
    assert fill(greedy) == 720
    assert greedy.full.code == "too-many-held"
    assert other.wait(1)
    assert fill(other, 2) > 75
    assert of.here <= 900


def test_its_own_bound_is_told_as_such() -> None:
    queue = queueing(held(900), size=10)
    assert fill(queue) == 10
    assert queue.full.code == "queue-full"


def test_places_come_back_in_every_way() -> None:
    of = held(90)
    queue = queueing(of)
    queue.wait(1)
    queue.wait(2)
    queue.wait(3, first=True)
    assert of.here == 3
    queue.abandon(1)
    queue.abandon(1)
    assert of.here == 2
    other = dispatcher("a", concurrency=1)
    queue.update([slot.endpoint for slot in other.slots])
    assert queue.admit() is not None
    assert of.here == 1


def test_without_a_limit_all_may_wait() -> None:
    assert fill(queueing(held(0), size=5000)) == 5000


def test_two_processes_have_one_limit() -> None:
    parts: dict[int, int] = {}
    both = [Held(Shared(parts, row)) for row in range(2)]
    for one in both:
        one.limit = 90
    first, second = (queueing(one) for one in both)
    while first.wait(parts.get(0, 0)) and second.wait(parts.get(1, 0)):
        pass
    assert 72 <= sum(parts.values()) <= 90
    # What was refused is not counted.
    assert parts == {0: len(first.waiting), 1: len(second.waiting)}


@dataclass
class Services:
    waiting: dict[int, int] = field(default_factory=dict)

    @property
    def taken(self) -> int:
        return sum(self.waiting.values())


GREEDY = 10


@given(st.integers(GREEDY * ASSURED * 10, 5000), st.integers(), st.booleans())
def test_who_asks_for_its_first_always_finds_room(limit: int, seed: int, in_turn: bool) -> None:
    """Beside others that want everything, one after the other or all at once."""
    services = Services()
    arrivals = random.Random(seed).choices(range(GREEDY), k=3 * limit)
    for service in sorted(arrivals) if in_turn else arrivals:
        own = services.waiting.get(service, 0)
        if is_fair(own, services.taken, limit):
            services.waiting[service] = own + 1
    assert services.taken <= limit
    assert min(services.waiting[service] for service in range(GREEDY)) >= ASSURED
    assert is_fair(0, services.taken, limit)


@pytest.mark.parametrize(
    ("own", "taken", "fair"),
    [(0, 99, True), (15, 99, True), (0, 100, False), (16, 90, False), (16, 80, True)],
)
def test_the_last_place_is_for_the_first_request(own: int, taken: int, fair: bool) -> None:
    assert is_fair(own, taken, 100) is fair
