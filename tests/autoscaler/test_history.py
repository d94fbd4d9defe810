"""A history holds changes and the latest confirmation on top, in few bytes."""

import gc
import random
import tracemalloc
from dataclasses import replace

import pytest

from autoscaler.decider import Decider
from autoscaler.decision import Counts, Decision, Limit, Observation
from autoscaler.history import KEEP, History
from autoscaler.result import Presence, Stage, Way
from autoscaler.rules import Means, Wish
from cluster.model import Mode
from config.scaling import Scaling
from tests.support.scaling_facts import seen

ONE = Decision(0.0, 1, Mode.STABLE, "because", seen(1))
NONE = Decision(0.0, 0, Mode.IDLE, "no request", seen(0, desired=1))


def numbers(history: History) -> list[int]:
    return [record.replicas for record in history.newest_first()]


def changing(number: int) -> list[Decision]:
    """Decisions as a service under a load that never rests gets them, each another number."""
    rng, scaling = random.Random(1), Scaling(max=40, down_delay=300.0)
    decider, desired, decisions = Decider(scaling), 1, []
    for index in range(number):
        load = rng.random() * 200
        observed = Observation(
            stable=Means(60.0, load, load * 7.31),
            panic=Means(6.0, load * 1.3, load * 9.77),
            counts=Counts(desired, index % 3, 0),
            desired=desired,
            in_flight=int(load),
            queued=index % 7,
        )
        decision = decider.decide(observed, index * 400.0)
        if decision.replicas == desired:
            decision = replace(decision, replicas=desired + 1)
        desired = decision.replicas
        decisions.append(replace(decision, at=1.7e9 + index * 400.123))
    return decisions


def test_ticks_that_change_nothing_leave_one_entry() -> None:
    history = History()
    for at in range(1000):
        history.add(replace(ONE, at=float(at)), float(at))
    assert [record.at for record in history.newest_first()] == [999.0, 0.0]


def test_changes_are_kept_newest_first_and_bounded() -> None:
    history = History()
    for number in range(500):
        history.add(replace(ONE, replicas=number), 0.0)
        history.add(replace(ONE, replicas=number), 0.0)
    # The newest one still waits for its result, beside those that are kept.
    assert numbers(history) == [499, *range(499, 498 - KEEP, -1)]


def test_a_freeze_and_a_change_of_mode_are_changes() -> None:
    history = History()
    for decision in (ONE, replace(ONE, frozen=True), replace(ONE, mode=Mode.PANIC)):
        assert history.add(decision, 0.0)
    assert len(history.newest_first()) == 3


def test_an_empty_history_has_no_latest() -> None:
    assert History().latest() is None
    assert History().newest_first() == []


def test_the_latest_is_the_first_of_all() -> None:
    history = History()
    for step in (ONE, ONE, replace(ONE, at=5.0), NONE, replace(NONE, at=9.0)):
        history.add(step, step.at)
        first, latest = history.newest_first(12.0)[0], history.latest(12.0)
        assert latest == first
    history.observe(Presence(), 13.0)
    assert history.latest(20.0) == history.newest_first(20.0)[0]


def test_each_is_in_force_until_the_next() -> None:
    history = History()
    for at, decision in ((10.0, ONE), (20.0, NONE), (30.0, ONE), (34.0, ONE)):
        history.add(replace(decision, at=at), at)
    dated = [(record.at, record.until) for record in history.newest_first()]
    assert dated == [(34.0, None), (30.0, None), (20.0, 30.0), (10.0, 20.0)]
    since = [record.to_dict()["since"] for record in history.newest_first()]
    assert since == [30.0, 30.0, 20.0, 10.0]


# What came of it


def test_a_way_up_is_reached_when_so_many_are_ready() -> None:
    history = History()
    history.add(replace(ONE, replicas=2), 100.0)
    for ready, now in ((0, 100.0), (1, 101.0), (2, 101.3), (0, 120.0)):
        history.observe(Presence(ready, 0, ready), now)
    result = history.newest_first(200.0)[0].result
    assert result is not None
    assert (result.way, result.stage, result.there) == (Way.UP, Stage.REACHED, 2)
    assert result.says == "2 replicas ready after 1.3s"
    assert not history.is_open


def test_a_way_that_goes_on_tells_how_far_it_is() -> None:
    history = History()
    history.add(replace(ONE, replicas=3), 100.0)
    history.observe(Presence(1, 0, 3), 104.0)
    result = history.newest_first(190.0)[0].result
    assert result is not None
    assert result.says == "1 of 3 ready so far, after 1m30s"


def test_what_never_came_is_told_with_its_reason() -> None:
    history = History()
    history.add(ONE, 100.0)
    history.observe(Presence(0, 0, 1), 100.0)
    history.observe(Presence(0, 0, 0, "start-failed: exited with code 1"), 101.0)
    history.observe(Presence(0, 0, 1), 102.0)
    history.add(NONE, 160.0)
    result = history.newest_first(200.0)[1].result
    assert result is not None
    assert result.says == (
        "none of 1 ready when the next decision came after 1m: start-failed: exited with code 1"
    )


def test_a_trouble_on_the_way_is_told_and_one_of_before_is_not() -> None:
    for known, told in (("", "; on the way: start-failed: boom"), ("start-failed: boom", "")):
        history = History()
        history.add(ONE, 0.0)
        history.observe(Presence(trouble=known), 0.0)
        history.observe(Presence(trouble="start-failed: boom"), 1.0)
        history.observe(Presence(1, 0, 1), 5.0)
        result = history.newest_first()[0].result
        assert result is not None
        assert result.says == f"1 replica ready after 5.0s{told}"


@pytest.mark.parametrize(
    ("decision", "present", "says"),
    [
        (replace(NONE, replicas=0), Presence(0, 0, 0), "no replica left after 350ms"),
        (replace(NONE, replicas=0), Presence(0, 0, 2), "still 2 replicas instead of 0 so far, "),
        (replace(ONE, frozen=True), Presence(0, 1, 1), "1 replica frozen after 350ms"),
        (replace(ONE, frozen=True), Presence(1, 0, 1), "none of 1 frozen so far, after 350ms"),
    ],
)
def test_ways_down_and_freezes(decision: Decision, present: Presence, says: str) -> None:
    history = History()
    history.add(replace(decision, inputs=seen(0, desired=1)), 10.0)
    history.observe(present, 10.35)
    result = history.newest_first(10.35)[0].result
    assert result is not None
    assert result.says.startswith(says)


def test_a_change_of_mode_alone_has_no_result() -> None:
    history = History()
    history.add(replace(ONE, inputs=seen(1, desired=1), mode=Mode.PANIC), 0.0)
    assert not history.is_open
    assert history.newest_first()[0].result is None


# In few bytes


def test_what_is_unpacked_is_what_was_packed() -> None:
    history = History()
    decisions = changing(60)
    for index, decision in enumerate(decisions):
        history.add(decision, float(index))
        history.observe(Presence(decision.replicas, 0, decision.replicas), index + 0.5)
    kept = history.newest_first()[::-1]
    assert len(kept) == 60
    for decision, record in zip(decisions, kept, strict=True):
        assert record.at == pytest.approx(decision.at, abs=0.001)
        assert (record.before, record.replicas, record.mode, record.reason, record.frozen) == (
            decision.before, decision.replicas, decision.mode, decision.reason, decision.frozen,
        )  # fmt: skip
        assert record.limits == decision.limits
        assert [wish.reason for wish in record.wishes] == [w.reason for w in decision.wishes]
        assert record.inputs["queued"] == decision.inputs.queued


def test_every_field_of_a_wish_and_of_a_limit_is_kept() -> None:
    wishes = (
        Wish("json", 0.0, 5.25, 2.0, 3, "is 5.25", is_load=False, is_known=False),
        Wish("cpu", 60.0, 0.5, 0.7, 1, "", is_load=False, is_known=True),
        Wish("rps", 6.0, 12.5, 5.0, 3, "", is_load=True, is_known=False),
    )
    limits = (Limit("max", 5, 3, "max is 3"),)
    history = History()
    history.add(replace(ONE, wishes=wishes, limits=limits), 0.0)
    history.observe(Presence(1, 0, 1), 1.5)
    (record,) = history.newest_first()
    assert (record.wishes, record.limits) == (wishes, limits)


def test_a_full_history_takes_20_kib() -> None:
    decisions = changing(3 * KEEP)
    gc.collect()
    tracemalloc.start()
    try:
        history = History()
        for index, decision in enumerate(decisions):
            history.add(decision, float(index))
            history.observe(Presence(index % 2, 0, 3, "start-failed: no"), index + 0.123456)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(history.newest_first()) >= KEEP
    assert size < 20 * 1024
    assert history.size == pytest.approx(size, rel=0.25)
