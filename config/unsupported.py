"""What the contract has and this version has not: refused by name, never silently ignored.

Pure. A key leaves this list when it is supported; the schema knows it all the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Finding, Place
from config.settings import RUNTIMES
from config.wording import METRICS, either, shown

LATER_RUNTIMES = ("swarm", "kubernetes", "nomad")
SUPPORTED_METRICS = ("concurrency", "rps")
NOT_YET = "is not supported yet"
LATER = " Not supported yet."


@dataclass(frozen=True, slots=True)
class Later:
    """A place of the file, when its value asks for too much, and what to write instead.

    "*" stands for every item of a list.
    """

    place: tuple[str, ...]
    asks: Callable[[Any], bool]
    message: Callable[[Any], str]


def _remove(_: Any) -> str:
    return f"{NOT_YET}: remove it"


def _later_runtime(value: Any) -> str | None:
    name = next(iter(value), None) if isinstance(value, Mapping) and len(value) == 1 else value
    return name if name in LATER_RUNTIMES else None


def _other_metric(value: Any) -> bool:
    metric = value.get("metric") if isinstance(value, Mapping) else None
    return isinstance(metric, str) and metric in METRICS and metric not in SUPPORTED_METRICS


def _limits(value: Any) -> bool:
    return bool(value != {"policies": [], "select": "max", "tolerance": None})


OF_FILE = (
    Later(
        ("runtime",),
        lambda value: _later_runtime(value) is not None,
        lambda value: f"{_later_runtime(value)} {NOT_YET}: use {either(RUNTIMES)}",
    ),
)
OF_SERVICE = (
    Later(
        ("scaling", "rules", "*"),
        lambda value: isinstance(value, Mapping) and "schedule" in value,
        lambda _: f"a schedule {NOT_YET}: remove it, or set scaling.min and max",
    ),
    Later(
        ("scaling", "rules", "*"),
        _other_metric,
        lambda value: (
            f"the metric {shown(value['metric'])} {NOT_YET}: use {either(SUPPORTED_METRICS)}"
        ),
    ),
    Later(("scaling", "policy"), lambda value: value in ("kpa", "hpa", "ray"), _remove),
    Later(("scaling", "tolerance"), lambda value: value != "0%", _remove),
    Later(("scaling", "activation"), lambda value: value != 1, _remove),
    Later(("scaling", "up"), _limits, _remove),
    Later(("scaling", "down"), _limits, _remove),
    Later(("scaling", "idle", "remove_after"), lambda value: value is not None, _remove),
    Later(("depends_on",), bool, _remove),
    Later(("group",), bool, _remove),
    Later(("rollout", "healthy_for"), lambda _: True, _remove),
    Later(("rollout", "deadline"), lambda _: True, _remove),
    Later(("rollout", "on_failure"), lambda _: True, _remove),
)


def refused(raw: Mapping[str, Any], later: tuple[Later, ...]) -> list[Finding]:
    """What of `raw` this version cannot do."""
    return [
        Finding(place, entry.message(value))
        for entry in later
        for place, value in _at(raw, entry.place, ())
        if entry.asks(value)
    ]


def _at(value: Any, place: tuple[str, ...], above: Place) -> Iterator[tuple[Place, Any]]:
    if not place:
        yield above, value
    elif isinstance(value, Mapping) and place[0] in value:
        yield from _at(value[place[0]], place[1:], (*above, place[0]))
    elif isinstance(value, list) and place[0] == "*":
        for index, item in enumerate(value):
            yield from _at(item, place[1:], (*above, index))
