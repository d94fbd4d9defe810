"""Several workers report, each in its own time: a constant load is seen as that constant."""

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.load import Load
from cluster.messages import LoadReport
from tests.support.scaling_facts import report

STABLE, PANIC = 60.0, 6.0
LATEST = 1.25  # seconds between two reports: gateway.sweep looks four times a second


@dataclass(frozen=True)
class Talker:
    """A worker with a load that never changes."""

    name: str
    concurrency: float
    phase: float
    every: float
    caught: bool  # whether its requests are so long that a report sees some in flight

    def reports(self, until: float) -> list[LoadReport]:
        times = [
            self.phase + number * self.every for number in range(math.ceil(until / self.every) + 1)
        ]
        former = [0.0, *times]
        return [
            report(
                at,
                self.concurrency,
                span=at - before,
                in_flight=math.ceil(self.concurrency) if self.caught else 0,
                requests=1,
                source=self.name,
            )
            for before, at in zip(former, times, strict=False)
            if at <= until
        ]


@st.composite
def crews(draw: st.DrawFn) -> list[Talker]:
    return [
        Talker(
            f"gateway-{number}",
            concurrency=draw(st.floats(0.1, 50)),
            phase=draw(st.floats(0.01, 1.0)),
            every=draw(st.floats(0.99, LATEST)),
            caught=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 6)))
    ]


def replayed(crew: list[Talker], until: float, dead: str = "") -> Load:
    load = Load(STABLE)
    told = [one for talker in crew if talker.name != dead for one in talker.reports(until)]
    for one in sorted(told, key=lambda one: one.at):
        load.record(one)
    return load


@given(crews(), st.floats(62.0, 75.0))
def test_a_constant_load_is_seen_as_that_constant_at_any_moment(
    crew: list[Talker], now: float
) -> None:
    load = replayed(crew, now)
    truth = sum(talker.concurrency for talker in crew)
    assert load.means(STABLE, now).concurrency == pytest.approx(truth)
    assert load.means(PANIC, now).concurrency == pytest.approx(truth)


@given(crews(), st.floats(0.0, 20.0))
def test_at_the_start_it_is_never_too_high_and_one_report_late_at_most(
    crew: list[Talker], now: float
) -> None:
    """As if one worker had seen it all, at some time within the last report's lateness."""
    load = replayed(crew, now)
    truth = sum(talker.concurrency for talker in crew)
    seen = load.means(PANIC, now).concurrency
    assert truth * min(1.0, max(0.0, now - LATEST) / PANIC) <= seen * (1 + 1e-9)
    assert seen <= truth * min(1.0, now / PANIC) * (1 + 1e-9)


@given(crews(), st.floats(0.0, 10.0))
def test_the_load_of_a_killed_worker_ends_and_that_of_the_others_stays(
    crew: list[Talker], later: float
) -> None:
    """tidegate.workers reports the silence of the dead, as of its last report."""
    killed, now = 65.0, 65.0 + later
    load = replayed(crew, killed)
    rest = replayed(crew, now, dead=crew[0].name)
    last = crew[0].reports(killed)[-1]
    silence = replace(last, span=0.0, busy_seconds=0.0, requests=0, in_flight=0)
    load.record(silence)
    for talker in crew[1:]:
        for one in talker.reports(now):
            if one.at > killed:
                load.record(one)
    others = sum(talker.concurrency for talker in crew[1:])
    left = crew[0].concurrency * max(0.0, 1 - (now - last.at) / PANIC)
    # A second is the finest that a window knows: in one of which a part was silent, the load is
    # taken to be even.
    coarse = crew[0].concurrency * 0.25 / PANIC + 1e-9
    seen = load.means(PANIC, now).concurrency
    assert seen == pytest.approx(others + left, rel=1e-9, abs=coarse)
    if later > PANIC + 1:
        assert seen == pytest.approx(others, abs=1e-9)
    assert rest.means(PANIC, now).concurrency == pytest.approx(others)
    assert load.in_flight(now) == rest.in_flight(now)


def test_a_successor_with_the_same_name_goes_on() -> None:
    load = Load(STABLE)
    for second in range(1, 61):
        load.record(report(float(second), 10, source="gateway-0"))
    load.record(report(60.0, span=0.0, source="gateway-0"))
    for second in range(61, 70):
        load.record(report(second + 0.5, 10, source="gateway-0"))
    assert load.means(PANIC, 70.0).concurrency == pytest.approx(10)
