"""Thresholds, deadlines and the words of verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.lifecycle import Event, State
from config.service import Health, Probe, StartupProbe
from health.duties import Duty
from health.verdict import Finding, Opening, Result, Streak, Vitals, fails_liveness, judge
from tests.support.probed_world import FAILED, PASSED, UNKNOWN, a_health, a_replica

HTTP_503 = Finding(Result.FAILED, "GET /ready answered 503")


def judged(
    state: State, health: Health, *seen: tuple[Duty, Finding], static: bool = False
) -> tuple[Event | None, str] | None:
    vitals = Vitals()
    for duty, finding in seen:
        vitals.of(duty).record(finding)
    verdict = judge(a_replica(state=state, static=static), vitals, health)
    return (verdict.event, verdict.reason) if verdict else None


def test_readiness_takes_out_after_failures_in_a_row() -> None:
    health = a_health(readiness=Probe(http="/ready", failures=3))
    failure = (Duty.READINESS, HTTP_503)
    passed = (Duty.READINESS, PASSED)

    assert judged(State.READY, health, failure, failure) is None
    assert judged(State.READY, health, failure, failure, passed, failure) is None
    assert judged(State.READY, health, failure, failure, failure) == (
        Event.UNREADY,
        "readiness failed, 3 times in a row: GET /ready answered 503",
    )


def test_readiness_brings_back_after_successes_in_a_row() -> None:
    health = a_health(readiness=Probe(http="/ready", successes=2))
    failure, passed = (Duty.READINESS, HTTP_503), (Duty.READINESS, PASSED)

    assert judged(State.UNHEALTHY, health, passed) is None
    assert judged(State.UNHEALTHY, health, passed, failure, passed) is None
    verdict = judged(State.UNHEALTHY, health, failure, passed, passed)
    assert verdict is not None
    assert verdict[0] is Event.PASSED


@pytest.mark.parametrize("state", [State.READY, State.UNHEALTHY])
def test_failing_liveness_is_a_reason_to_go_and_no_verdict_of_its_own(state: State) -> None:
    health = a_health(liveness=Probe(tcp=True, failures=2))
    vitals = Vitals()
    vitals.liveness.record(FAILED)
    assert fails_liveness(a_replica(state=state), vitals, health) is None
    vitals.liveness.record(FAILED)
    failed = fails_liveness(a_replica(state=state), vitals, health)
    assert failed is not None
    assert failed.reason == "liveness failed, 2 times in a row: connection refused"
    assert judge(a_replica(state=state), vitals, health) is None
    assert fails_liveness(a_replica(state=state, static=True), vitals, health) is None


def test_an_evicted_replica_returns_by_its_liveness() -> None:
    health = a_health(readiness=Probe(tcp=True), liveness=Probe(tcp=True))
    vitals, replica = Vitals(), a_replica(state=State.UNHEALTHY)
    vitals.readiness.record(PASSED)
    vitals.liveness.record(FAILED)
    assert judge(replica, vitals, health, evicted=True) is None
    vitals.liveness.record(PASSED)
    verdict = judge(replica, vitals, health, evicted=True)
    assert verdict is not None
    assert verdict.event is Event.PASSED


def test_failing_liveness_only_takes_out_what_others_run() -> None:
    health = a_health(liveness=Probe(tcp=True, failures=1))
    verdict = judged(State.READY, health, (Duty.LIVENESS, FAILED), static=True)
    assert verdict == (Event.UNREADY, "liveness failed: connection refused")


def test_an_endpoint_of_others_returns_when_all_its_probes_pass() -> None:
    health = a_health(readiness=Probe(tcp=True), liveness=Probe(http="/live"))
    ready, alive, dead = (Duty.READINESS, PASSED), (Duty.LIVENESS, PASSED), (Duty.LIVENESS, FAILED)

    assert judged(State.UNHEALTHY, health, ready, dead, static=True) is None
    verdict = judged(State.UNHEALTHY, health, ready, alive, static=True)
    assert verdict is not None
    assert verdict[0] is Event.PASSED


def test_what_we_could_not_see_counts_for_nothing() -> None:
    streak = Streak()
    for finding in (FAILED, UNKNOWN, FAILED, UNKNOWN):
        streak.record(finding)
    assert (streak.failures, streak.successes) == (2, 0)


@given(
    st.lists(st.sampled_from([PASSED, FAILED, UNKNOWN]), max_size=30),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_the_verdict_equals_a_count_by_hand(
    seen: list[Finding], failures: int, successes: int
) -> None:
    """Replays a history through `judge` and against the definition: the last n known results."""
    health = a_health(readiness=Probe(tcp=True, failures=failures, successes=successes))
    vitals, state, known = Vitals(), State.READY, list[bool]()
    for finding in seen:
        vitals.readiness.record(finding)
        if finding.result is not Result.UNKNOWN:
            known.append(finding.passed)
        verdict = judge(a_replica(state=state), vitals, health)

        expected = None
        if state is State.READY and known[-failures:] == [False] * failures:
            expected, state = Event.UNREADY, State.UNHEALTHY
        elif state is State.UNHEALTHY and known[-successes:] == [True] * successes:
            expected, state = Event.PASSED, State.READY
        assert (verdict.event if verdict else None) == expected


def test_the_first_success_opens() -> None:
    health = a_health()
    opening = Opening(began=10.0)
    assert opening.record(FAILED, a_replica(), health, 10.0) is None
    verdict = opening.record(PASSED, a_replica(), health, 10.143)
    assert verdict is not None
    assert (verdict.event, verdict.reason) == (Event.PASSED, "port 8080 opened after 143 ms")


def test_with_a_readiness_probe_a_start_needs_one_success_of_each() -> None:
    health = a_health(readiness=Probe(http="/ready", successes=3))
    opening = Opening(began=0.0)
    assert opening.check(health) is health.startup
    assert opening.record(PASSED, a_replica(), health, 1.0) is None
    assert opening.check(health) is health.readiness
    assert opening.record(HTTP_503, a_replica(), health, 2.0) is None
    verdict = opening.record(
        Finding(Result.PASSED, "GET /ready answered 200"), a_replica(), health, 3.0
    )
    assert verdict is not None
    assert (verdict.event, verdict.reason) == (Event.PASSED, "GET /ready answered 200 after 3 s")


@pytest.mark.parametrize(
    ("startup", "state", "finding", "reason"),
    [
        pytest.param(
            StartupProbe(tcp=True),
            State.STARTING,
            FAILED,
            "port 8080 did not open within 60 s (last try: connection refused)",
            id="tcp",
        ),
        pytest.param(
            StartupProbe(tcp=True, port=9000),
            State.STARTING,
            FAILED,
            "port 9000 did not open within 60 s (last try: connection refused)",
            id="tcp at a port of its own",
        ),
        pytest.param(
            StartupProbe(tcp=True),
            State.UNHEALTHY,
            FAILED,
            "port 8080 did not open again within 60 s (last try: connection refused)",
            id="tcp on the way back",
        ),
        pytest.param(
            StartupProbe(http="/ready"),
            State.STARTING,
            HTTP_503,
            "it was not ready within 60 s (last try: GET /ready answered 503)",
            id="http",
        ),
        pytest.param(
            StartupProbe(exec=("check",)),
            State.STARTING,
            Finding(Result.FAILED, "exec check ended with code 1"),
            "it was not ready within 60 s (last try: exec check ended with code 1)",
            id="exec",
        ),
    ],
)
def test_a_missed_deadline_condemns_and_says_what_was_seen(
    startup: StartupProbe, state: State, finding: Finding, reason: str
) -> None:
    health, opening = a_health(startup=startup), Opening(began=0.0)
    replica = a_replica(state=state)
    assert opening.record(finding, replica, health, 59.9) is None
    verdict = opening.record(finding, replica, health, 60.0)
    assert verdict is not None
    assert (verdict.event, verdict.reason) == (Event.CONDEMNED, reason)


def test_the_deadline_holds_for_readiness_too() -> None:
    health = a_health(readiness=Probe(http="/ready"))
    opening = Opening(began=0.0, opened=True)
    verdict = opening.record(HTTP_503, a_replica(), health, 60.0)
    assert verdict is not None
    assert verdict.event is Event.CONDEMNED
    assert verdict.reason == "it was not ready within 60 s (last try: GET /ready answered 503)"


def test_an_endpoint_of_others_is_never_condemned_but_reported_once() -> None:
    health, opening, endpoint = a_health(), Opening(began=0.0), a_replica(static=True)
    verdict = opening.record(FAILED, endpoint, health, 60.0)
    assert verdict is not None
    assert verdict.event is None
    assert opening.record(FAILED, endpoint, health, 65.0) is None
    late = opening.record(PASSED, endpoint, health, 70.0)
    assert late is not None
    assert late.event is Event.PASSED
