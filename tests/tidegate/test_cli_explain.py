"""A scaling decision as a story."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin.views import as_json, dated
from tests.support.operated_plane import EXPLANATION, FORMER
from tidegate.cli_explain import past_story, story

NOW = datetime(2023, 11, 14, 22, 15, 20, tzinfo=UTC)


def explained(**changes: Any) -> list[str]:
    return story({"service": "web", **EXPLANATION, "at": None, **changes}, NOW)


def test_an_explanation_is_a_story() -> None:
    assert explained() == [
        "web: 10 replicas (panic mode)",
        "  because 115 in flight on average, target 10; scaling.max is 10",
        "",
        "Seen",
        "  replicas: 2 ready",
        "  now: 110 in flight, 5 queued",
        "  stable window: 115.2 at a time, 250 requests a second",
        "  panic window: 118 at a time, 260.5 requests a second",
        "",
        "Wishes",
        "  concurrency: 12, 115 in flight on average, target 10  <- the largest",
        "  rps: 3, 250 requests a second, target 100",
        "",
        "Limits",
        "  max: 12 → 10, scaling.max is 10",
        "",
        "Next",
        "  panic ends in 42s if the load stays as it is",
        "  the last activity was 200ms ago",
    ]


def test_an_explanation_of_a_service_by_hand_in_trouble() -> None:
    lines = explained(
        manual={"replicas": 1, "ends_in": 90.0},
        trouble={"code": "image-missing", "message": "no image web:1"},
        outcome={"replicas": 1, "frozen": True, "mode": "manual", "reason": "by hand"},
    )
    assert lines[:3] == [
        "web: 1 replica, frozen (manual mode)",
        "  because by hand",
        "  but image-missing: no image web:1",
    ]
    assert "  1 replica by hand, for 1m30s more" in lines


def test_an_explanation_of_a_service_that_was_never_used_is_short() -> None:
    empty: dict[str, Any] = {
        "service": "web",
        "inputs": {},
        "rules": [],
        "limits": [],
        "outcome": {"replicas": 0, "mode": "idle", "reason": "never used"},
    }
    assert story(empty, NOW) == ["web: 0 replicas (idle mode)", "  because never used"]


def test_of_equal_wishes_the_first_is_the_largest_and_the_age_is_told() -> None:
    rules = [{"rule": "concurrency", "wish": 1, "reason": window} for window in ("60s", "6s")]
    lines = explained(rules=rules, at="2023-11-14T22:15:20Z")
    assert lines[0] == "web: 10 replicas (panic mode, decided just now)"
    assert [line for line in lines if "concurrency:" in line] == [
        "  concurrency: 1, 60s  <- the largest",
        "  concurrency: 1, 6s",
    ]


def test_another_policy_is_named_and_so_are_its_windows() -> None:
    hpa = explained(policy="hpa", windows={"stable": 60.0, "panic": 1.0})
    assert "  as scaling.policy hpa decides" in hpa
    assert "  over 1m: 115.2 at a time, 250 requests a second" in hpa
    assert "  over 1s: 118 at a time, 260.5 requests a second" in hpa
    ray = explained(policy="ray", windows={"stable": 30.0, "panic": 30.0})
    assert [line for line in ray if "at a time" in line] == [
        "  over 30s: 115.2 at a time, 250 requests a second"
    ]
    kpa = explained(policy="kpa", windows={"stable": 60.0, "panic": 6.0})
    assert "  panic window: 118 at a time, 260.5 requests a second" in kpa


# The past


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def decision(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(as_json(dated({**FORMER, **changes})))
    return told


@pytest.mark.usefixtures("in_utc")
def test_a_decision_of_the_past_is_the_same_story() -> None:
    assert past_story("web", decision(), NOW) == [
        "web: 1 replica (stable mode, decided 3m ago)",
        "  because woken by a request, initial is 1",
        "  in force from 22:12:20 until 22:13:20, for 1m",
        "",
        "Seen",
        "  replicas: none",
        "  now: 0 in flight, 1 queued",
        "",
        "Wishes",
        "  concurrency 0.5 over 1m at 10 per replica asks for 1",
        "",
        "Came of it",
        "  1 replica ready after 1.3s",
    ]


@pytest.mark.usefixtures("in_utc")
def test_one_in_force_still_tells_since_when_and_another_day_its_date() -> None:
    still = past_story("web", decision(until=None), NOW)
    assert still[2] == "  in force since 22:12:20, for 3m until now"
    later = past_story("web", decision(until=None), NOW + timedelta(days=2))
    assert later[2] == "  in force since 2023-11-14 22:12:20, for 2d until now"


def test_limits_and_schedules_are_told_once() -> None:
    limits = [
        {"limit": "max", "before": 5, "after": 3, "reason": "max is 3"},
        {"limit": "panic", "before": 3, "after": 4, "reason": "never down in panic"},
    ]
    lines = explained(limits=limits, next_change_in=7200.0)
    assert "  5 → 3: max is 3" in lines
    assert "  panic: 3 → 4, never down in panic" in lines
    assert "  a schedule begins or ends in 2h" in lines


def test_a_wish_for_nothing_wins_nothing() -> None:
    rules = [{"rule": rule, "wish": 0, "reason": "no load"} for rule in ("concurrency", "rps")]
    assert not any("the largest" in line for line in explained(rules=rules))


SLEEP = {
    "habit": "called every 15m in 98% of 40 times, next expected 12:45:00 UTC (94.1%)",
    "chance_now": 0.0004,
    "worth_from": 0.0033,
    "kept_to_the_timeout": False,
    "next_wake_in": 300.0,
}


def test_what_learned_sleep_knows_is_told() -> None:
    lines = explained(sleep=SLEEP, next_change_in=300.0)
    assert "  called every 15m in 98% of 40 times, next expected 12:45:00 UTC (94.1%)" in lines
    assert "  the chance of a call just now is 0.04%, worth staying awake for from 0.33%" in lines
    assert "  it is woken, before a call, in 5m" in lines


def test_a_schedule_before_the_wake_is_told_as_a_schedule() -> None:
    lines = explained(sleep={**SLEEP, "kept_to_the_timeout": True}, next_change_in=60.0)
    assert "  a schedule begins or ends in 1m" in lines
    assert any("the plain timeout decides" in line for line in lines)
