"""What clients are told of a service that no request may wake.

Pure. Its words are for everybody: they say how long, not who.
"""

import math

from autoscaler.manual import Override
from autoscaler.schedules import Timetable
from cluster.model import Trouble

# Nobody knows when: often enough to notice soon, seldom enough to be no load.
_FOR_GOOD = 60.0


def by_hand(override: Override) -> Trouble:
    return _refusal("switched-off", "The service is switched off.", override.until)


def by_schedule(timetable: Timetable) -> Trouble:
    message = f"The service is asleep {timetable.opens_in_words}."
    # To the whole second: two clocks that drift a little apart are no news.
    return _refusal("asleep", message, _whole(timetable.opens))


def _refusal(code: str, message: str, until: float) -> Trouble:
    if until == math.inf:
        return Trouble(code, message, retry_after=_FOR_GOOD)
    return Trouble(code, message, until=until)


def _whole(seconds: float) -> float:
    return seconds if seconds == math.inf else float(math.ceil(seconds))
