"""Moments of cron expressions, around both changes to and from summer time.

The rule is Debian's cron(8), "Notes": jobs at a fixed hour that the spring leaves out come right
after it, those that the autumn would bring twice come once; jobs of a wildcard go by the clock.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from config.calendar import always_ends_at_once, cron, following, last, said

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
# Local times of a change, in the middle of two days that are looked at minute by minute.
CHANGES = {
    (BERLIN, "2026-03-29 02:00"),
    (BERLIN, "2026-10-25 02:00"),
    (NEW_YORK, "2026-03-08 02:00"),
    (NEW_YORK, "2026-11-01 01:00"),
    ("America/Santiago", "2026-09-06 00:00"),
    ("UTC", "2028-02-29 00:00"),
}
EXPRESSIONS = (
    "0 2 * * *",
    "30 2 * * *",
    "45 1 * * *",
    "15 1,2,3 * * *",
    "*/20 * * * *",
    "0 * * * *",
    "30 */2 * * *",
    "0 0 L * *",
    "59 23 * * mon-fri",
    "0 3 * * sun",
    "* 2 * * *",
    "0 0 29 2 *",
)


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@lru_cache
def moments_of(expression: str, zone: str, begin: float, end: float) -> list[float]:
    """Minute by minute, by the rule alone."""
    local = ZoneInfo(zone)
    if expression.split()[0].startswith("*") or expression.split()[1].startswith("*"):
        minutes = range(int(begin), int(end), 60)
        return [at for at in minutes if matches(expression, datetime.fromtimestamp(at, local))]
    found = set()
    day = datetime.fromtimestamp(begin, local).replace(tzinfo=None)
    while day.timestamp() < end + 86_400:
        if matches(expression, day):
            found.add(first_real(day, local))
        day += timedelta(minutes=1)
    return sorted(found)


@lru_cache
def parsed_of(expression: str) -> CronSim:
    return CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))


def matches(expression: str, at: datetime) -> bool:
    parsed = parsed_of(expression)
    return (
        at.minute in parsed.minutes
        and at.hour in parsed.hours
        and at.month in parsed.months
        and parsed.match_day(at.date())
    )


def first_real(clock: datetime, zone: ZoneInfo) -> float:
    """When a clock on the wall shows that first, or, where it never does, what comes instead."""
    while True:
        moment = clock.replace(tzinfo=zone, fold=0).timestamp()
        if datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0) == clock:
            return moment
        clock += timedelta(minutes=1)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(CHANGES)),
    st.sampled_from(EXPRESSIONS),
    st.integers(-18 * 3600, 18 * 3600),
)
def test_the_last_and_the_next_are_those_of_the_rule(
    change: tuple[str, str], expression: str, seconds: int
) -> None:
    zone, text = change
    middle = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()
    moment = middle + seconds
    expected = moments_of(expression, zone, middle - 3 * 86_400, middle + 3 * 86_400)
    before = [at for at in expected if at <= moment]
    after = [at for at in expected if at > moment]
    if before:
        assert last(expression, zone, moment) == before[-1]
    if after:
        assert following(expression, zone, moment) == after[0]


@pytest.mark.parametrize(
    ("expression", "zone", "at", "expected"),
    [
        # 02:30 is left out in the spring: it comes at 03:00.
        ("30 2 * * *", BERLIN, "2026-03-29 00:00", "2026-03-29 01:00"),
        ("30 2 * * *", NEW_YORK, "2026-03-08 06:00", "2026-03-08 07:00"),
        # 02:30 is there twice in the autumn: it comes the first time.
        ("30 2 * * *", BERLIN, "2026-10-25 00:00", "2026-10-25 00:30"),
        ("30 2 * * *", BERLIN, "2026-10-25 00:30", "2026-10-26 01:30"),
        ("30 1 * * *", NEW_YORK, "2026-11-01 05:00", "2026-11-01 05:30"),
        ("30 1 * * *", NEW_YORK, "2026-11-01 05:30", "2026-11-02 06:30"),
        # The last day of a month, and the one that most years have not.
        ("0 0 L * *", "UTC", "2026-02-01 00:00", "2026-02-28 00:00"),
        ("0 0 31 * *", "UTC", "2026-04-01 00:00", "2026-05-31 00:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01 00:00", "2028-02-29 00:00"),
    ],
)
def test_the_next_moment(expression: str, zone: str, at: str, expected: str) -> None:
    found = following(expression, zone, utc(at))
    assert found is not None
    assert datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M") == expected


def test_in_the_second_of_two_equal_hours_the_first_one_is_past() -> None:
    """02:10 in winter time comes 25 minutes after 02:45 in summer time."""
    moment = utc("2026-10-25 01:10")
    assert last("45 2 * * *", BERLIN, moment) == utc("2026-10-25 00:45")
    assert following("45 2 * * *", BERLIN, moment) == utc("2026-10-26 01:45")


def test_a_moment_itself_is_the_last_one() -> None:
    at = utc("2026-11-23 07:00")
    assert last("0 8 * * *", BERLIN, at) == at
    assert last("0 8 * * *", BERLIN, at - 0.001) == at - 86_400
    assert following("0 8 * * *", BERLIN, at) == at + 86_400


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 8 * *", "five fields"),
        ("0 25 * * *", "Bad hour"),
        ("0 0 30 2 *", "never comes: its months have no such day"),
        ("0 0 31 4,6 *", "never comes: its months have no such day"),
        ("x 0 30 2 *", "Bad minute"),
    ],
)
def test_what_never_comes_says_so(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cron(text)


@pytest.mark.parametrize(
    ("begin", "end", "nothing"),
    [
        ("0 8 * * *", "0 8 * * *", True),
        ("0 8 * * mon", "0 8 * * *", True),
        ("0 8 * * *", "0 8 * * mon-fri", False),
        ("0 8 * * *", "0 8 1-30 * *", False),
        ("0 8 * * *", "0 18 * * *", False),
        ("0 0 29 2 *", "0 0 * * *", True),
    ],
)
def test_beginnings_that_are_ends_are_found(begin: str, end: str, nothing: bool) -> None:
    assert always_ends_at_once(begin, end) is nothing


def test_a_moment_is_said_in_the_operators_zone() -> None:
    assert said(utc("2026-11-23 17:00"), BERLIN) == "Mon 23 Nov 2026 18:00 (Europe/Berlin)"
