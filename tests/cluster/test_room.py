"""Who makes room on a full host: only the idle, the least recently used first, nobody in vain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.room import IDLE_FOR, Idle, Need, Verdict, judge

NOW = 1000.0


def idle(service: str, size: int, ago: float = 60.0, priority: int = 0) -> Idle:
    return Idle(service, size, NOW - ago, priority)


@pytest.mark.parametrize(
    ("need", "free", "leaving", "others", "verdict"),
    [
        pytest.param(Need("a", 10, 3), 30, 0, [], Verdict(3), id="all fit"),
        pytest.param(Need("a", 10, 3), 25, 0, [], Verdict(2), id="some fit"),
        pytest.param(Need("a", 10, 1), -50, 0, [], Verdict(0), id="less than nothing is free"),
        pytest.param(
            Need("a", 10, 1), 0, 10, [], Verdict(0, coming=1), id="what leaves makes room"
        ),
        pytest.param(
            Need("a", 10, 1), 0, 0, [idle("b", 10)], Verdict(0, ("b",), 1), id="an idle one goes"
        ),
        pytest.param(
            Need("a", 10, 1),
            0,
            10,
            [idle("b", 10)],
            Verdict(0, (), 1),
            id="nobody goes when enough is leaving already",
        ),
        pytest.param(
            Need("a", 10, 1),
            0,
            0,
            [idle("b", 10, 20), idle("c", 10, 30)],
            Verdict(0, ("c",), 1),
            id="the least recently used goes first",
        ),
        pytest.param(
            Need("a", 10, 1),
            0,
            0,
            [idle("b", 10, 90, priority=1), idle("c", 10, 30)],
            Verdict(0, ("c",), 1),
            id="the lower priority goes first",
        ),
        pytest.param(
            Need("a", 10, 1),
            0,
            0,
            [idle("b", 10, 90, priority=1)],
            Verdict(0),
            id="a higher priority never goes",
        ),
        pytest.param(
            Need("a", 10, 1, priority=1),
            0,
            0,
            [idle("b", 10, 90, priority=1)],
            Verdict(0, ("b",), 1),
            id="one of the same priority does",
        ),
        pytest.param(
            Need("a", 100, 1), 0, 0, [idle("b", 10), idle("c", 80)], Verdict(0), id="not in vain"
        ),
        pytest.param(
            Need("a", 100, 2),
            0,
            0,
            [idle("b", 10, 90), idle("c", 150, 80), idle("d", 30, 70)],
            Verdict(0, ("c",), 1),
            id="no more than it takes",
        ),
        pytest.param(Need("a", 10, 1), 0, 0, [idle("a", 10)], Verdict(0), id="never for itself"),
        pytest.param(
            Need("a", 10, 1),
            0,
            0,
            [idle("b", 10, IDLE_FOR - 0.5)],
            Verdict(0, seconds=0.5),
            id="whoever was just used is asked later",
        ),
    ],
)
def test_verdicts(
    need: Need, free: int, leaving: int, others: list[Idle], verdict: Verdict
) -> None:
    assert judge(need, free, leaving, others, NOW) == verdict


def test_hopeless_is_what_no_waiting_helps() -> None:
    assert Verdict(0).is_hopeless
    assert Verdict(1).is_hopeless  # of those that did not fit
    assert not Verdict(0, ("b",), 1).is_hopeless
    assert not Verdict(0, seconds=0.5).is_hopeless


IDLES = st.lists(
    st.builds(
        Idle,
        st.sampled_from("bcdefgh"),
        st.integers(0, 50),
        st.floats(NOW - 100, NOW),
        st.integers(-2, 2),
    ),
    unique_by=lambda one: one.service,
)


@given(
    st.builds(Need, st.just("a"), st.integers(1, 40), st.integers(1, 5), st.integers(-2, 2)),
    st.integers(-50, 200),
    st.integers(0, 50),
    IDLES,
)
def test_the_laws_of_making_room(need: Need, free: int, leaving: int, others: list[Idle]) -> None:
    verdict = judge(need, free, leaving, others, NOW)
    assert 0 <= verdict.fits <= need.count
    assert verdict.fits * need.each <= max(0, free)
    by_name = {one.service: one for one in others}
    stopped = [by_name[name] for name in verdict.stop]
    assert all(one.priority <= need.priority for one in stopped)
    assert all(NOW - one.since >= IDLE_FOR for one in stopped)
    gained = free - verdict.fits * need.each + leaving + sum(one.size for one in stopped)
    assert gained >= verdict.coming * need.each or not verdict.coming
    assert verdict.fits + verdict.coming <= need.count
    for one in stopped:
        assert (gained - one.size) // need.each < verdict.coming  # everyone of them is needed
    assert verdict.seconds is None or verdict.seconds > 0
