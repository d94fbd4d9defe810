"""Times of the week as people write them: cron expressions and time zones.

Reads nothing but time zone data. Cron is Debian's (five fields), daylight saving
included, as cronsim implements it.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from config.wording import shown


def cron(text: str) -> str:
    """The same text. Raises ValueError."""
    try:
        if len(text.split()) != 5:
            raise CronSimError("five fields are needed")
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(
            f'must be a cron expression such as "0 8 * * mon-fri", got {shown(text)}: {error}'
        ) from None
    return text


def timezone(text: str) -> str:
    """The same text. Raises ValueError."""
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"must be a time zone such as Europe/Berlin, got {shown(text)}") from None
    return text
