"""Services with a schedule, and its hours in the loop time of tests.support.scaling_plane.

Loop time 0 is Tue 14 Nov 2023 22:13:20 UTC.
"""

from config.service import Service
from tests.support.scaling_facts import service

HOUR = 3600.0
ELEVEN = 46 * 60 + 40.0  # 23:00 in loop time
SEVEN = ELEVEN + 8 * HOUR
NIGHT = {"schedule": "0 23 * * *", "until": "0 7 * * *"}


def scheduled(schedule: dict[str, object], name: str = "web", **changes: object) -> Service:
    """From eleven to seven, unless `schedule` says otherwise."""
    rules = [{"metric": "concurrency"}, {**NIGHT, **schedule}]
    return service(name, rules=rules, **changes)
