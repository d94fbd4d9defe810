"""Which schedules are active, what they demand together, and when that changes next."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decision import Counts
from autoscaler.policy import Policy
from autoscaler.schedules import Standing, Timetable, standing
from config.scaling import Scaling
from tests.support.scaling_facts import report

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
WORK = {"schedule": "0 8 * * mon-fri", "until": "0 18 * * mon-fri", "timezone": BERLIN}
MORNING = 'schedule "0 8 * * mon-fri" until Mon 23 Nov 2026 18:00 (Europe/Berlin)'


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def daily(begin: str, end: str, zone: str = "UTC", **does: object) -> dict[str, object]:
    """From `8:30` to `18:00`."""
    begin_cron, end_cron = (
        f"{int(text.partition(':')[2])} {int(text.partition(':')[0])} * * *"
        for text in (begin, end)
    )
    return {"schedule": begin_cron, "until": end_cron, "timezone": zone, **does}


def scaled(*schedules: dict[str, object], **changes: object) -> Scaling:
    return Scaling.model_validate({"rules": [{"metric": "concurrency"}, *schedules], **changes})


def at(text: str, *schedules: dict[str, object], **changes: object) -> Standing:
    return standing(scaled(*schedules, **changes), utc(text))


def limits(found: Standing) -> tuple[int, int]:
    return found.bounds.least, found.bounds.most


def test_a_schedule_holds_from_its_beginning_until_just_before_its_end() -> None:
    """2026-11-23 is a Monday; Berlin is an hour ahead of UTC."""
    for moment, expected in [
        ("2026-11-23 06:59:59", (0, 10)),
        ("2026-11-23 07:00:00", (2, 20)),
        ("2026-11-23 16:59:59", (2, 20)),
        ("2026-11-23 17:00:00", (0, 10)),
        ("2026-11-22 12:00:00", (0, 10)),  # a Sunday
    ]:
        assert limits(at(moment, {**WORK, "min": 2, "max": 20})) == expected


def test_the_reason_names_the_schedule_and_its_end() -> None:
    bounds = at("2026-11-23 12:00", {**WORK, "min": 2, "max": 20}).bounds
    assert bounds.why_least == f"min is 2 by {MORNING}"
    assert bounds.why_most == f"max is 20 by {MORNING}"
    bounds = at("2026-11-23 12:00", {**WORK, "min": 2}, max=7).bounds
    assert bounds.why_most == "max is 7"
    assert at("2026-11-23 12:00", {**WORK, "replicas": 3}).bounds.why_least == (
        f"exactly 3 by {MORNING}"
    )


def test_the_next_change_is_the_nearest_of_all_beginnings_and_ends() -> None:
    both = ({**WORK, "min": 2}, daily("9:00", "23:00", min=1))
    assert at("2026-11-23 06:00", *both).until == utc("2026-11-23 07:00")
    assert at("2026-11-23 07:30", *both).until == utc("2026-11-23 09:00")
    assert at("2026-11-23 17:30", *both).until == utc("2026-11-23 23:00")


def test_of_several_the_largest_min_and_the_smallest_max_count() -> None:
    found = at(
        "2026-11-23 12:00",
        daily("8:00", "18:00", min=2, max=20),
        daily("10:00", "14:00", min=5),
        daily("11:00", "13:00", max=8),
        daily("0:00", "6:00", min=9, max=1),
    )
    assert limits(found) == (5, 8)


def test_what_a_schedule_says_stands_instead_of_what_is_configured() -> None:
    assert limits(at("2026-11-23 03:00", daily("1:00", "6:00", min=0), min=2)) == (0, 10)
    assert limits(at("2026-11-23 03:00", daily("1:00", "6:00", max=50), min=2)) == (2, 50)


def test_of_a_floor_above_the_ceiling_the_ceiling_is_left() -> None:
    assert limits(at("2026-11-23 03:00", daily("1:00", "6:00", max=1), min=2)) == (1, 1)
    asleep = at("2026-11-23 03:00", daily("1:00", "6:00", max=0), min=2)
    assert limits(asleep) == (0, 0)
    assert asleep.bounds.why_most.startswith('asleep by schedule "0 1 * * *" until Mon 23 Nov')


def test_a_forced_count_beats_them_and_the_first_in_the_file_wins() -> None:
    found = at(
        "2026-11-23 12:00",
        daily("8:00", "18:00", min=6, max=20),
        daily("8:00", "18:00", replicas=4),
        daily("9:00", "18:00", replicas=3),
    )
    assert limits(found) == (4, 4)


def test_where_beginning_and_end_fall_together_the_end_wins() -> None:
    """Every day from midnight, but on Mondays it ends then."""
    rule = {"schedule": "0 0 * * *", "until": "0 0 * * mon", "min": 2}
    assert limits(at("2026-11-23 12:00", rule)) == (0, 10)
    assert limits(at("2026-11-24 00:00", rule)) == (2, 10)


@pytest.mark.parametrize(
    ("zone", "begin", "end", "active"),
    [
        # Spring: Berlin leaves out 02:00 to 03:00 at 01:00 UTC, New York at 07:00 UTC.
        (BERLIN, "2:00", "4:00", ("2026-03-29 01:00", "2026-03-29 02:00")),
        (BERLIN, "1:30", "2:30", ("2026-03-29 00:30", "2026-03-29 01:00")),
        (BERLIN, "2:15", "2:45", None),
        (BERLIN, "23:00", "5:00", ("2026-03-28 22:00", "2026-03-29 03:00")),
        (NEW_YORK, "2:00", "4:00", ("2026-03-08 07:00", "2026-03-08 08:00")),
        (NEW_YORK, "1:30", "2:30", ("2026-03-08 06:30", "2026-03-08 07:00")),
        (NEW_YORK, "2:15", "2:45", None),
        # Autumn: Berlin has 02:00 to 03:00 twice from 00:00 UTC, New York 01:00 from 05:00.
        (BERLIN, "2:00", "3:00", ("2026-10-25 00:00", "2026-10-25 02:00")),
        (BERLIN, "2:15", "2:45", ("2026-10-25 00:15", "2026-10-25 00:45")),
        (BERLIN, "1:30", "2:30", ("2026-10-24 23:30", "2026-10-25 00:30")),
        (BERLIN, "2:30", "4:00", ("2026-10-25 00:30", "2026-10-25 03:00")),
        (NEW_YORK, "1:00", "2:00", ("2026-11-01 05:00", "2026-11-01 07:00")),
        (NEW_YORK, "1:15", "1:45", ("2026-11-01 05:15", "2026-11-01 05:45")),
        (NEW_YORK, "0:30", "1:30", ("2026-11-01 04:30", "2026-11-01 05:30")),
    ],
)
def test_schedules_around_summer_time(
    zone: str, begin: str, end: str, active: tuple[str, str] | None
) -> None:
    """Minute by minute through the day of the change: exactly that stretch, and once."""
    days = {BERLIN: ("2026-03-29", "2026-10-25"), NEW_YORK: ("2026-03-08", "2026-11-01")}[zone]
    day = active[1][:10] if active else days[0]
    assert day in days
    middle = utc(f"{day} 02:00" if zone == BERLIN else f"{day} 06:30")
    scaling = scaled(daily(begin, end, zone, min=1))
    minutes = [middle + 60 * minute for minute in range(-5 * 60, 5 * 60)]
    held = [moment for moment in minutes if standing(scaling, moment).bounds.least]
    if active is None:
        assert held == []
    else:
        assert (held[0], held[-1] + 60, len(held)) == (
            utc(active[0]),
            utc(active[1]),
            (utc(active[1]) - utc(active[0])) / 60,
        )


def test_the_end_of_a_month_and_a_leap_day() -> None:
    month_end = {"schedule": "0 0 L * *", "until": "0 0 1 * *", "max": 40}
    assert limits(at("2026-02-28 12:00", month_end)) == (0, 40)
    assert limits(at("2026-03-01 00:00", month_end)) == (0, 10)
    assert limits(at("2028-02-28 12:00", month_end)) == (0, 10)
    leap = {"schedule": "0 0 29 2 *", "until": "0 0 1 3 *", "min": 1}
    assert limits(at("2028-02-29 23:59", leap)) == (1, 10)
    assert limits(at("2027-02-28 23:59", leap)) == (0, 10)
    assert at("2026-06-01 00:00", leap).until == utc("2027-03-01 00:00")


def test_nights_that_overlap_open_when_the_last_one_ends() -> None:
    nights = (daily("22:00", "4:00", max=0), daily("3:00", "6:00", replicas=0))
    assert at("2026-11-23 02:00", *nights).opens == utc("2026-11-23 06:00")
    always = {"schedule": "0 0 1 1 *", "until": "59 23 31 12 *", "max": 0}
    assert at("2026-11-23 02:00", always).opens == utc("2026-12-31 23:59")


# Against two clocks


def test_moments_are_told_in_loop_time() -> None:
    timetable = Timetable(scaled(daily("1:00", "6:00", max=0)), utc("2026-11-23 03:00"), 500.0)
    assert timetable.is_closed
    assert timetable.opens == timetable.next_change(500.0) == 500.0 + 3 * 3600
    assert timetable.opens_in_words == "until Mon 23 Nov 2026 06:00 (UTC)"


def test_a_wall_clock_that_goes_ahead_is_followed() -> None:
    timetable = Timetable(scaled(daily("1:00", "6:00", max=0)), utc("2026-11-23 00:59"), 500.0)
    assert timetable.bounds.most == 10
    timetable.tell(utc("2026-11-23 05:00"), 501.0)
    assert timetable.is_closed
    assert timetable.opens == 501.0 + 3600


def test_a_small_step_back_undoes_nothing_and_a_large_one_does() -> None:
    timetable = Timetable(scaled(daily("1:00", "6:00", max=0)), utc("2026-11-23 01:00:05"), 500.0)
    timetable.tell(utc("2026-11-23 00:59:50"), 501.0)
    assert timetable.bounds.most == 0
    timetable.tell(utc("2026-11-23 00:30:00"), 502.0)
    assert timetable.bounds.most == 10


def test_a_moment_that_has_almost_come_is_not_looked_at_without_end() -> None:
    timetable = Timetable(scaled(daily("1:00", "6:00", max=0)), utc("2026-11-23 00:59:00"), 0.0)
    timetable.tell(utc("2026-11-23 01:00:00") - 0.0001, 60.0)
    assert timetable.next_change(60.0) >= 60.05


def test_services_that_are_scheduled_alike_are_reckoned_once() -> None:
    one, other = (at("2026-11-23 12:00", {**WORK, "min": 2}) for _ in range(2))
    assert one is other


def test_a_schedule_that_never_changes_again_needs_no_look() -> None:
    assert standing(Scaling(), 0.0).until == math.inf


# Over a policy


@given(
    st.lists(
        st.tuples(st.floats(0.5, 9000), st.floats(0, 300), st.integers(0, 2), st.integers(0, 40)),
        min_size=1,
        max_size=30,
    )
)
def test_the_bounds_are_kept_whatever_the_load_and_the_time(
    steps: list[tuple[float, float, int, int]],
) -> None:
    scaling = scaled(
        daily("8:00", "18:00", min=3, max=20),
        daily("12:00", "13:00", replicas=7),
        daily("17:00", "19:00", min=5),
        daily("23:00", "6:00", max=0),
    )
    policy, now, wall = Policy(scaling), 0.0, utc("2026-11-23 05:00")
    for pause, load, do, ready in steps:
        now, wall = now + pause, wall + pause
        policy.tell_time(wall, now)
        if do:
            policy.record(report(now, load))
        counts = Counts(ready)
        decision = policy.wake(counts, now) if do == 2 else None
        decision = decision or policy.decide(counts, now)
        bounds = standing(scaling, wall).bounds
        assert bounds.least <= decision.replicas <= bounds.most
        assert decision.reason
        assert policy.next_look(now) > now
        assert (policy.refusal() is not None) is (bounds.most == 0)
