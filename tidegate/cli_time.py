"""Moments of the past as an operator writes them: `10m ago`, `14:05`, `2026-11-23T14:05:00+01:00`.

Pure, but for the time zone of the reader, in which a time without a zone is meant.
"""

import re
from datetime import datetime, time

from config.units import parse_duration

_AGO = re.compile(r"(?P<duration>\S+)\s+ago")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d)?")


def moment_of(text: str, now: datetime) -> datetime:
    """Raises ValueError, also for what has not come yet."""
    try:
        at = _read(text.strip(), now)
    except ValueError:
        raise ValueError(
            f'must be a time such as 14:05, "10m ago" or 2026-11-23T14:05:00, got "{text}"'
        ) from None
    if at > now:
        raise ValueError(f'"{text}" has not come yet')
    return at


def _read(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        seconds = parse_duration(ago["duration"])
        return datetime.fromtimestamp(now.timestamp() - seconds, now.tzinfo)
    if _CLOCK.fullmatch(text):
        clock = time.fromisoformat(
            text.rjust(5, "0") if text.count(":") == 1 else text.rjust(8, "0")
        )
        return datetime.combine(now.astimezone().date(), clock).astimezone()
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.astimezone()
