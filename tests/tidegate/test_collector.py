"""The garbage collector leaves what lives on alone, and nothing is lost for good."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from tidegate.collector import BUSY_EVERY, QUIET_EVERY, Collector


class Node:
    """Can be one of a cycle, and can be watched."""

    def __init__(self) -> None:
        self.other: Node | None = None


@pytest.fixture
def collector() -> Iterator[Collector]:
    gc.collect()
    watched = Collector()
    watched.watch(100.0)
    yield watched
    watched.close()
    gc.unfreeze()
    gc.collect()


def young_collection() -> None:
    gc.collect(0)
    gc.collect(1)


def cycle() -> "weakref.ref[Node]":
    one, other = Node(), Node()
    one.other, other.other = other, one
    return weakref.ref(one)


@pytest.mark.usefixtures("collector")
def test_what_lived_through_a_young_collection_is_not_walked_by_a_full_one() -> None:
    kept = [Node() for _ in range(100)]
    young_collection()
    assert not any(isinstance(found, Node) for found in gc.get_objects(generation=2))
    assert len(kept) == 100


@pytest.mark.usefixtures("collector")
def test_young_cycles_are_collected() -> None:
    gone = cycle()
    assert gone() is not None
    gc.collect(1)
    assert gone() is None


@pytest.mark.parametrize(
    ("after", "busy", "collected"),
    [
        (QUIET_EVERY - 1, False, False),
        (QUIET_EVERY, False, True),
        (QUIET_EVERY, True, False),
        (BUSY_EVERY - 1, True, False),
        (BUSY_EVERY, True, True),
    ],
)
def test_an_old_cycle_goes_at_a_full_look(
    collector: Collector, after: float, busy: bool, collected: bool
) -> None:
    one = Node()
    one.other = Node()
    one.other.other = one
    gone = weakref.ref(one)
    young_collection()
    del one
    gc.collect()
    assert gone() is not None, "it was frozen while it was alive"
    collector.tick(100.0 + after, busy)
    assert (gone() is None) is collected


def test_closed_it_leaves_the_collector_as_it_was() -> None:
    before = list(gc.callbacks)
    watched = Collector()
    watched.watch(0.0)
    watched.watch(1.0)
    assert len(gc.callbacks) == len(before) + 1
    watched.close()
    watched.close()
    assert gc.callbacks == before
    gc.unfreeze()
