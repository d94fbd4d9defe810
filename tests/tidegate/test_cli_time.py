"""Moments of the past as operators write them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tidegate.cli_time import moment_of

NOW = datetime(2026, 11, 23, 14, 30, 0, tzinfo=UTC)  # 15:30 in Berlin


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m ago", "2026-11-23T14:20:00"),
        ("1h30m  ago", "2026-11-23T13:00:00"),
        ("0 ago", None),
        ("15:05", "2026-11-23T14:05:00"),
        ("9:05", "2026-11-23T08:05:00"),
        ("9:05:07", "2026-11-23T08:05:07"),
        ("15:30", "2026-11-23T14:30:00"),
        ("2026-11-23T15:05:00", "2026-11-23T14:05:00"),
        ("2026-11-23 15:05", "2026-11-23T14:05:00"),
        ("2026-07-23T15:05:00", "2026-07-23T13:05:00"),
        ("2026-11-23T14:05:00Z", "2026-11-23T14:05:00"),
        ("2026-11-23T09:05:00-05:00", "2026-11-23T14:05:00"),
        ("2026-11-01", "2026-10-31T23:00:00"),
    ],
)
def test_a_time_of_the_past(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="must be a time"):
            moment_of(text, NOW)
    else:
        assert moment_of(text, NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "12:60", "10 ago", "10m", "-5m ago", "2026-13-01"]
)
def test_what_is_no_time_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match='must be a time such as 14:05, "10m ago" or 2026-'):
        moment_of(text, NOW)


@pytest.mark.parametrize("text", ["15:31", "2026-11-23T15:31:00", "2027-01-01"])
def test_what_has_not_come_yet_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="has not come yet"):
        moment_of(text, NOW)
