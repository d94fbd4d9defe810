"""What of scaling is allowed but cannot go well, each with its remedy.

Pure. Warnings, not errors: Tidegate runs with all of it. The defaults fit each other.
"""

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

from config import calendar
from config.errors import Finding, Place
from config.health import StartupProbe
from config.rules import ConcurrencyRule, CpuRule, LatencyRule, QueueWaitRule, Schedule
from config.scaling import Scaling
from config.service import Service
from config.settings import Host
from config.units import format_duration, format_ratio, format_size

DECIDED_EVERY = {"tidegate": 1.0, "kpa": 2.0}  # seconds; the ticks of those that have windows
# The gateway's clock counts milliseconds: of shorter times every fifth would be an error.
MEASURABLE = 0.005
_BEGINNINGS = 60
_PANIC_AND_RATES = ("panic_window", "panic_threshold", "max_up_rate", "max_down_rate")
# Keys that another way of deciding does not know (docs/reference/policies.md).
_UNUSED = {
    "kpa": ("tolerance", "up", "down"),
    "hpa": _PANIC_AND_RATES,
    "ray": (*_PANIC_AND_RATES, "tolerance", "up", "down"),
}
_DEFAULTS = Scaling()
_USUAL_START = StartupProbe().deadline


def of_service(service: Service, runtime: str | None) -> Iterator[Finding]:
    """Seen from the top of the service."""
    yield from _of_siblings(service)
    if service.endpoints:
        return
    yield from _of_scaling(service.scaling)
    yield from _of_unused_keys(service.scaling)
    yield from _of_targets(service)
    yield from _of_starts(service)
    if runtime == "docker" and service.resources.cpu is None:
        for index, rule in enumerate(service.scaling.rules):
            if isinstance(rule, CpuRule):
                message = (
                    "is a share of one core, of which a replica may use more: set resources.cpu"
                )
                yield Finding((*_rule(index), "target"), message)


def of_host(host: Host, services: Iterable[Service]) -> Iterator[Finding]:
    """Seen from the top of the file. A share of the machine is not known before it runs."""
    if not isinstance(host.memory, int):
        return
    known = [(service, service.resources.memory) for service in services]
    limited = [(service, memory) for service, memory in known if memory]
    largest = max(limited, key=lambda one: one[1], default=None)
    always = sum(service.scaling.min * memory for service, memory in limited)
    if largest and largest[1] > host.memory:
        service, memory = largest
        yield _too_little(
            host.memory,
            memory,
            f"one replica of {service.name} may use (resources.memory), so it is never started",
        )
    elif always > host.memory:
        effect = "the replicas that always run may use (scaling.min), so some are never started"
        yield _too_little(host.memory, always, effect)


def _too_little(budget: int, needed: int, effect: str) -> Finding:
    message = (
        f"{format_size(budget)} is less than the {format_size(needed)} that {effect}: "
        f"set it to {format_size(needed)} or more, or lower those"
    )
    return Finding(("host", "memory"), message)


def of_measured(service: Service, start: float) -> Iterator[Finding]:
    """Against the time that starts were seen to take, in seconds."""
    whole = float(math.ceil(start))
    if whole > 1:
        yield from _shorter_than(whole, "took lately", "or make it start faster", service)


# Services share the sections that they do not change, so most answers are known already.
@lru_cache(maxsize=256)
def _of_scaling(scaling: Scaling) -> tuple[Finding, ...]:
    return (
        *_of_windows(scaling),
        *_of_tolerance(scaling),
        *_of_equal_bounds(scaling),
        *_of_contradicting_schedules(scaling),
        *_of_short_times(scaling),
    )


def _of_windows(scaling: Scaling) -> Iterator[Finding]:
    tick = DECIDED_EVERY.get(scaling.policy, 0.0)
    for key in ("stable_window", "panic_window"):
        window = getattr(scaling, key)
        if window < tick:
            every = format_duration(tick)
            message = (
                f"{format_duration(window)} is shorter than the {every} from one decision to the "
                f"next, so load in between is not seen: set it to {every} or more"
            )
            yield Finding(("scaling", key), message)
    if scaling.panic_window == scaling.stable_window:
        message = (
            f"{format_duration(scaling.panic_window)} is as long as stable_window, so a burst is "
            "noticed no earlier: set it to about a tenth of it"
        )
        yield Finding(("scaling", "panic_window"), message)


def _of_tolerance(scaling: Scaling) -> Iterator[Finding]:
    own = scaling.down.tolerance
    tolerance = scaling.tolerance if own is None else own
    if tolerance >= 1:
        place: Place = ("scaling", "tolerance") if own is None else ("scaling", "down", "tolerance")
        message = (
            f"{format_ratio(tolerance)} is so much that even no load at all scales nothing down: "
            "set it to less than 100%, such as 10%"
        )
        yield Finding(place, message)


def _of_unused_keys(scaling: Scaling) -> Iterator[Finding]:
    """As written: what a file does not say cannot mislead."""
    policy = scaling.policy
    for key in _UNUSED.get(policy, ()):
        if key in scaling.model_fields_set:
            message = f"has no effect with policy {policy}: remove it, or use policy tidegate"
            yield Finding(("scaling", key), message)
    idle = scaling.idle
    if policy != "tidegate" and "stop_after" in idle.model_fields_set and idle.stop_after:
        message = (
            f"has no effect with policy {policy}, which has its own way to zero: remove it, use "
            "null for never, or use policy tidegate"
        )
        yield Finding(("scaling", "idle", "stop_after"), message)
    yield from _of_learned_sleep(scaling)
    if idle.remove_after is not None and idle.stop_after is None:
        message = "has no effect while idle.stop_after is null: nothing is ever stopped"
        yield Finding(("scaling", "idle", "remove_after"), f"{message}; set that, or remove this")


def _of_learned_sleep(scaling: Scaling) -> Iterator[Finding]:
    idle = scaling.idle
    if idle.policy == "learned" and not scaling.is_sleep_learned:
        why = f"with policy {scaling.policy}" if idle.stop_after else "while stop_after is null"
        message = f"has no effect {why}: use policy tidegate and a stop_after, or use timeout"
        yield Finding(("scaling", "idle", "policy"), message)
    if idle.policy == "timeout":
        for key in ("wake_cost", "idle_minute_cost"):
            if key in idle.model_fields_set:
                message = "has no effect with policy timeout: use learned, or remove it"
                yield Finding(("scaling", "idle", key), message)


def _of_equal_bounds(scaling: Scaling) -> Iterator[Finding]:
    written = scaling.rules != _DEFAULTS.rules
    if scaling.min == scaling.max and written and not scaling.schedules:
        message = (
            f"have no effect while min and max are both {scaling.max}: "
            "raise max, lower min, or remove the rules"
        )
        yield Finding(("scaling", "rules"), message)


def _of_contradicting_schedules(scaling: Scaling) -> Iterator[Finding]:
    rules = list(enumerate(scaling.rules))
    for index, one in rules:
        for other_index, other in rules:
            if not (isinstance(one, Schedule) and isinstance(other, Schedule)):
                continue
            if one.min is None or other.max is None or one.min <= other.max or one is other:
                continue
            if _overlap(one, other) or _overlap(other, one):
                message = (
                    f"{one.min} is above the max ({other.max}) of rules[{other_index}], which wins "
                    "while both are active: let one end before the other begins"
                )
                yield Finding((*_rule(index), "min"), message)


def _overlap(one: Schedule, other: Schedule) -> bool:
    """Whether at any of the next beginnings of one the other is active."""
    moment: float | None = calendar.REFERENCE
    for _ in range(_BEGINNINGS):
        moment = calendar.following(one.schedule, one.timezone, moment or 0.0)
        if moment is None:
            return False
        began = calendar.last(other.schedule, other.timezone, moment)
        ended = calendar.last(other.until, other.timezone, moment)
        if began is not None and (ended is None or began > ended):
            return True
    return False


def _of_short_times(scaling: Scaling) -> Iterator[Finding]:
    for index, rule in enumerate(scaling.rules):
        if isinstance(rule, LatencyRule | QueueWaitRule) and rule.target < MEASURABLE:
            least = format_duration(MEASURABLE)
            message = (
                f"{format_duration(rule.target)} is too short to be measured: "
                f"set it to {least} or more"
            )
            yield Finding((*_rule(index), "target"), message)


def _of_targets(service: Service) -> Iterator[Finding]:
    limit = service.concurrency
    for index, rule in enumerate(service.scaling.rules):
        if isinstance(rule, ConcurrencyRule) and 0 < limit < rule.target:
            yield _above_limit(service, index, rule.target)


def _above_limit(service: Service, index: int, target: float) -> Finding:
    limit = service.concurrency
    effect = f"so requests queue before a replica is added: set the target to {limit} or less"
    if service.scaling.rules != _DEFAULTS.rules:
        message = f"{target:g} is above `concurrency` ({limit}), the hard limit, {effect}"
        return Finding((*_rule(index), "target"), message)
    message = f"{limit} is below the target of scaling.rules ({target:g} if not written), {effect}"
    return Finding(("concurrency",), message)


def _of_siblings(service: Service) -> Iterator[Finding]:
    """Whoever is compared needs somebody to be compared with."""
    most, outliers = _most_replicas(service), service.health.outliers
    for key, least in (("error_rate", 2), ("slow", 3)):
        if getattr(outliers, key) is not None and most < least:
            count = "is only one" if most == 1 else f"are at most {most}"
            message = (
                f"compares at least {least} replicas, and there {count}: "
                "have more of them, or remove it"
            )
            yield Finding(("health", "outliers", key), message)


def _most_replicas(service: Service) -> int:
    schedules = (rule.max or 0 for rule in service.scaling.schedules)
    return len(service.endpoints) or max(service.scaling.max, *schedules, 1)


def _of_starts(service: Service) -> Iterator[Finding]:
    """Against the time that a start may take, where the operator allows more than usual."""
    start = service.health.startup.deadline
    if start > _USUAL_START:
        yield from _shorter_than(start, "may take", "or lower health.startup.deadline", service)


def _shorter_than(start: float, takes: str, other: str, service: Service) -> Iterator[Finding]:
    scaling, length = service.scaling, format_duration(start)

    def finding(place: Place, value: float, effect: str, remedy: str = "") -> Finding:
        compared = f"{format_duration(value)} is shorter than a start {takes} ({length})"
        return Finding(
            place, f"{compared}, so {effect}: set it to {length} or more, {remedy}{other}"
        )

    stop, sleeps = scaling.idle.stop_after, scaling.min == 0
    if stop is not None and stop < start and sleeps:
        effect = "it may be stopped sooner than it was started"
        yield finding(("scaling", "idle", "stop_after"), stop, effect)
    if 0 < scaling.down_delay < start:
        effect = "replicas may be given up that are needed again before others are ready"
        yield finding(("scaling", "down_delay"), scaling.down_delay, effect)
    if service.queue.timeout < start and sleeps:
        effect = "the request that wakes it may be answered with 503"
        raised = "set scaling.min to 1, "
        yield finding(("queue", "timeout"), service.queue.timeout, effect, raised)


def _rule(index: int) -> Place:
    return ("scaling", "rules", index)
