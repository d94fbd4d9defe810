"""Starts wait for each other: first replicas first, services by turns, nobody for ever."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cluster.turns import Turns


def asked(turns: Turns, service: str, count: int, *, is_first: bool = False) -> list[str]:
    """Those of its replicas that may start at once."""
    return [
        replica
        for replica in (f"{service}-{number}" for number in range(count))
        if turns.ask(service, replica, is_first=is_first)
    ]


def order(turns: Turns, under_way: list[str]) -> list[str]:
    """In which order all start, one at a time."""
    started = []
    while under_way:
        turns.leave(under_way.pop(0))
        admitted = turns.admit()
        under_way += admitted
        started += admitted
    return started


def test_while_places_are_free_nobody_waits() -> None:
    turns = Turns(3)
    assert asked(turns, "a", 3) == ["a-0", "a-1", "a-2"]
    assert asked(turns, "a", 1) == []


def test_without_a_limit_nobody_waits() -> None:
    assert len(asked(Turns(0), "a", 1000)) == 1000


def test_services_take_turns() -> None:
    turns = Turns(1)
    under_way = asked(turns, "a", 1)
    for service, count in (("a", 4), ("b", 2), ("c", 1)):
        for number in range(count):
            turns.ask(service, f"{service}{number}", is_first=False)
    assert order(turns, under_way) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_first_replicas_go_before_further_ones() -> None:
    turns = Turns(1)
    under_way = asked(turns, "big", 1, is_first=True)
    for number in range(1, 50):
        turns.ask("big", f"big-{number}", is_first=False)
    turns.ask("small", "small-0", is_first=True)
    turns.ask("other", "other-0", is_first=True)
    assert order(turns, under_way)[:3] == ["small-0", "other-0", "big-1"]


def test_whoever_does_not_want_to_wait_leaves() -> None:
    turns = Turns(1)
    asked(turns, "a", 2)
    turns.ask("b", "b-0", is_first=True)
    turns.leave("b-0")
    turns.leave("nobody")
    turns.leave("a-0")
    assert (turns.admit(), turns.waiting, turns.under_way) == (["a-1"], 0, 1)


def test_a_higher_limit_lets_more_in_and_a_lower_one_fewer() -> None:
    turns = Turns(1)
    asked(turns, "a", 4)
    turns.limit = 3
    assert turns.admit() == ["a-1", "a-2"]
    turns.limit = 1
    turns.leave("a-0")
    assert turns.admit() == []


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "leave", "admit"]),
            st.sampled_from("abc"),
            st.integers(0, 9),
            st.booleans(),
        )
    ),
)
def test_never_more_than_the_limit_and_nobody_is_lost(
    limit: int, steps: list[tuple[str, str, int, bool]]
) -> None:
    turns, started, known = Turns(limit), Counter[str](), set[str]()
    for step, service, number, is_first in steps:
        replica = f"{service}{number}"
        if step == "ask" and replica not in known:
            known.add(replica)
            started[replica] += turns.ask(service, replica, is_first=is_first)
        elif step == "leave" and replica in known:
            known.discard(replica)
            del started[replica]
            turns.leave(replica)
        else:
            started.update(turns.admit())
        assert turns.under_way == sum(started.values()) <= limit
        assert turns.under_way + turns.waiting == len(known)
        assert all(count == 1 for count in (+started).values())
    started.update(turns.admit())
    waiting = known - set(+started)
    assert not waiting or turns.under_way == limit
    assert set(order(turns, list(+started))) == waiting
