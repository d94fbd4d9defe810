"""Times of the week as people write them: cron expressions and time zones.

Reads nothing but time zone data. Cron is Debian's (five fields), as cronsim implements it, daylight
saving included: a time that the spring leaves out comes when the gap ends, a time that the autumn
has twice comes the first time only. An expression with a star for minutes or hours follows the
clock through both.

Moments are wall-clock seconds since 1970.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from config.wording import shown

_ANY = datetime(2000, 1, 1, tzinfo=UTC)
REFERENCE = _ANY.timestamp()  # where a look at what comes may start, when no clock is at hand
# More than any clock was ever set back for the winter.
_SET_BACK = timedelta(hours=3)


def cron(text: str) -> str:
    """The same text. Raises ValueError."""
    try:
        if len(text.split()) != 5:
            raise CronSimError("five fields are needed")
        moments = CronSim(text, _ANY)
    except CronSimError as error:
        if _has_no_such_day(text):
            raise ValueError(
                f"never comes: its months have no such day, got {shown(text)}"
            ) from None
        raise ValueError(
            f'must be a cron expression such as "0 8 * * mon-fri", got {shown(text)}: {error}'
        ) from None
    if next(moments, None) is None:
        raise ValueError(f"never comes in 50 years, got {shown(text)}")
    return text


def timezone(text: str) -> str:
    """The same text. Raises ValueError."""
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"must be a time zone such as Europe/Berlin, got {shown(text)}") from None
    return text


def last(expression: str, zone: str, moment: float) -> float | None:
    """The latest moment of a cron expression that is not later than `moment`."""
    local = _local(moment, zone) + timedelta(seconds=1)
    if _local(moment, zone).fold:
        # An hour that comes twice: a time that the first one had may be later on the clock.
        local = local.replace(fold=0) + _SET_BACK
    return next((at for at in _moments(expression, local, reverse=True) if at <= moment), None)


def following(expression: str, zone: str, moment: float) -> float | None:
    """The first moment of a cron expression that is later than `moment`."""
    found = _moments(expression, _local(moment, zone), reverse=False)
    return next((at for at in found if at > moment), None)


def said(moment: float, zone: str) -> str:
    """As `Mon 23 Nov 2026 18:00 (Europe/Berlin)`."""
    return f"{_local(moment, zone):%a %-d %b %Y %H:%M} ({zone})"


@lru_cache(maxsize=256)
def always_ends_at_once(begin: str, end: str) -> bool:
    """Whether each of the next beginnings falls together with an end, so that nothing is between.

    Whatever the time zone is: both are read in the same one.
    """
    at: float | None = REFERENCE
    for _ in range(400):
        at = following(begin, "UTC", at or 0.0)
        if at is None or last(end, "UTC", at) != at:
            return False
    return True


def _local(moment: float, zone: str) -> datetime:
    return datetime.fromtimestamp(int(moment // 1), ZoneInfo(zone))


def _moments(expression: str, local: datetime, *, reverse: bool) -> Iterator[float]:
    """Later (or earlier) than `local` on the clock, in that direction."""
    return (found.timestamp() for found in CronSim(expression, local, reverse=reverse))


def _has_no_such_day(text: str) -> bool:
    """Whether it is right in all but the months."""
    fields = text.split()
    try:
        CronSim(" ".join((*fields[:3], "*", *fields[4:])), _ANY)
        CronSim(" ".join((*fields[:2], "*", *fields[3:])), _ANY)
    except (CronSimError, IndexError):
        return False
    return len(fields) == 5
