"""Moments as traces write them, in microseconds since 1970.

Pure. A time without a zone is read as UTC: only what lies between two of them counts.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from config.wording import shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,30})?")
_MILLISECONDS = 100_000_000_000  # as seconds that would be the year 5138
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_LOGGED = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


def moment(text: str) -> tuple[int, bool]:
    """Microseconds of an ISO 8601 time or of seconds since any moment, and whether it has a zone.

    Digits beyond microseconds are dropped. Raises ValueError.
    """
    if _NUMBER.fullmatch(text):
        if float(text) >= _MILLISECONDS:
            raise ValueError(f"{shown(text)} is too large for seconds: divide milliseconds by 1000")
        whole, _, part = text.partition(".")
        return int(whole) * 1_000_000 + int(f"{part:0<6.6}"), False
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{shown(text)} is no time: write 2026-01-31 18:17:03.97, or seconds"
        ) from None
    zoned = read.tzinfo is not None
    return ((read if zoned else read.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND, zoned


@lru_cache(maxsize=1024)  # a busy log repeats itself
def logged_second(text: str) -> int:
    """Microseconds of `10/Oct/2000:13:55:36 -0700`. Raises ValueError."""
    match = _LOGGED.fullmatch(text)
    if not match or match[2] not in _MONTHS:
        raise ValueError(f"{shown(text)} is no time such as 10/Oct/2000:13:55:36 -0700")
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    ahead = timedelta(hours=int(match[8]), minutes=int(match[9]))
    try:
        at = datetime(
            year, _MONTHS[match[2]], day, hour, minute, 59 if second == 60 else second, tzinfo=UTC
        )
    except ValueError as error:
        raise ValueError(f"{shown(text)} is no time: {error}") from None
    return (at - _EPOCH - (ahead if match[7] == "+" else -ahead)) // _MICROSECOND
