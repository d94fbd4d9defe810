"""Whether the rules of a service make sense by themselves and beside its limits.

Pure. What is contradictory is an error; what only cannot go well is for config.stability to say.
"""

from collections.abc import Iterator
from functools import lru_cache

from config import calendar
from config.errors import Finding, Place
from config.rules import MemoryRule, RedisRule, Schedule
from config.scaling import Scaling
from config.service import Service

_MAX: Place = ("scaling", "max")


def of_rules(service: Service) -> Iterator[Finding]:
    """Seen from the top of the service."""
    yield from _of_schedules(service.scaling)
    for index, rule in enumerate(service.scaling.rules):
        if isinstance(rule, MemoryRule) and service.resources.memory is None:
            message = "needs resources.memory, of which its target is a share"
            yield Finding((*_place(index), "metric"), message, (("resources", "memory"),))
        if isinstance(rule, RedisRule):
            yield from _of_redis(_place(index), rule)


def _of_redis(place: Place, rule: RedisRule) -> Iterator[Finding]:
    if not rule.list and not rule.stream:
        yield Finding(place, "needs one of list and stream")
    if rule.list and rule.stream:
        yield Finding(place, "must have only one of list and stream")
    if rule.group and not rule.stream:
        yield Finding((*place, "group"), "is of a stream: name it")


# Services share the sections that they do not change, so most answers are known already.
@lru_cache(maxsize=256)
def _of_schedules(scaling: Scaling) -> tuple[Finding, ...]:
    return tuple(
        finding
        for index, rule in enumerate(scaling.rules)
        if isinstance(rule, Schedule)
        for finding in (*_of_times(_place(index), rule), *_of_numbers(_place(index), rule, scaling))
    )


def _of_times(place: Place, rule: Schedule) -> Iterator[Finding]:
    also = ((*place, "schedule"),)
    if rule.schedule.split() == rule.until.split():
        yield Finding((*place, "until"), "must be another time than schedule", also)
    elif calendar.always_ends_at_once(rule.schedule, rule.until):
        message = "comes whenever the schedule begins, and the end wins: nothing is between them"
        yield Finding((*place, "until"), message, also)


def _of_numbers(place: Place, rule: Schedule, scaling: Scaling) -> Iterator[Finding]:
    least, most, exactly = rule.min, rule.max, rule.replicas
    if least is None and most is None and exactly is None:
        yield Finding(place, "needs one of min, max, replicas: it changes nothing")
    if exactly is not None and (least is not None or most is not None):
        other = "min" if least is not None else "max"
        message = f"does not go with {other}: remove one of the two"
        yield Finding((*place, "replicas"), message, ((*place, other),))
    if least is not None and most is not None and most < least:
        message = f"must be at least min ({least}), got {most}"
        yield Finding((*place, "max"), message, ((*place, "min"),))
    for key, number in (("min", least if most is None else None), ("replicas", exactly)):
        if number is not None and number > scaling.max:
            more = ", or give the schedule a max" if key == "min" else ""
            message = f"must be at most scaling.max ({scaling.max}), got {number}: raise that{more}"
            yield Finding((*place, key), message, (_MAX,))


def _place(index: int) -> Place:
    return ("scaling", "rules", index)
