"""What `tune` looks for: `p99 wait < 500ms, least cost`.

Pure. Limits first, then one number to make least. A limit is a duration, a share or an amount,
or `present`: no worse than the present rules on the same part of the traffic.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.units import format_duration, format_ratio, parse_duration, parse_ratio
from config.wording import either, shown

Measures = Mapping[str, float]
"""A number for each metric: waits in seconds, shares of 1, cost in its currency."""

METRICS = (
    "p50 wait", "p95 wait", "p99 wait", "max wait", "mean wait", "delayed", "failed", "cost",
)  # fmt: skip
PRESENT = "present"
FORM = '"p99 wait < 500ms, least cost"'
_LIMIT = re.compile(r"(?P<metric>[a-z0-9 ]+?)\s*(?P<sign><=|<)\s*(?P<bound>\S+)")
_LEAST = re.compile(r"least\s+(?P<metric>[a-z0-9 ]+)")
_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class Limit:
    """`bound` None is what the present rules reach."""

    metric: str
    bound: float | None
    is_strict: bool

    def excess(self, value: float, present: float) -> float:
        """How far it is missed, as a share of the bound; 0 is met. A bound of the present rules is
        never strict: they meet it themselves."""
        bound = present if self.bound is None else self.bound
        if value < bound or (value == bound and not self.is_strict):
            return 0.0
        return max(_HAIR, value / bound - 1 if bound else value)

    def __str__(self) -> str:
        bound = PRESENT if self.bound is None else in_words(self.metric, self.bound)
        return f"{self.metric} {'<' if self.is_strict else '<='} {bound}"


Score = tuple[float, float, float, float]
"""Less is better: how far limits are missed, what is to be least, then cost and p99 wait."""


@dataclass(frozen=True, slots=True)
class Objective:
    limits: tuple[Limit, ...]
    least: str

    def score(self, measures: Measures, present: Measures) -> Score:
        missed = self.missed(measures, present)
        return missed, measures[self.least], measures["cost"], measures["p99 wait"]

    def missed(self, measures: Measures, present: Measures) -> float:
        """0 where all limits are met."""
        return sum(
            limit.excess(measures[limit.metric], present[limit.metric]) for limit in self.limits
        )

    @property
    def latency(self) -> str:
        """The wait that it is about: that of the first limit on one, or of what is to be least."""
        named = (*(limit.metric for limit in self.limits), self.least)
        return next((metric for metric in named if metric.endswith("wait")), "p99 wait")

    def __str__(self) -> str:
        return ", ".join([*map(str, self.limits), f"least {self.least}"])


def objective(text: str) -> Objective:
    """Raises ValueError that names the part and what to write instead."""
    limits: list[Limit] = []
    least: list[str] = []
    for part in (part.strip().lower() for part in text.split(",")):
        if match := _LEAST.fullmatch(part):
            least.append(_metric(part, match["metric"]))
        elif match := _LIMIT.fullmatch(part):
            limits.append(_limit(part, match))
        else:
            raise ValueError(f"{shown(part)} is neither a limit nor what to make least: as {FORM}")
    if len(least) != 1:
        problem = "nothing is to be made least" if not least else "only one thing can be least"
        raise ValueError(f"{problem}: write it as {FORM}")
    return Objective(tuple(limits), least[0])


def in_words(metric: str, value: float) -> str:
    """As it is written."""
    if metric.endswith("wait"):
        return format_duration(value)
    return format_ratio(value) if metric in ("delayed", "failed") else f"{value:g}"


def _limit(part: str, match: re.Match[str]) -> Limit:
    metric, text = _metric(part, match["metric"]), match["bound"]
    if text == PRESENT:
        return Limit(metric, None, is_strict=False)
    try:
        return Limit(metric, _reading(metric)(text), match["sign"] == "<")
    except ValueError as error:
        raise ValueError(f"{shown(part)}: {metric} {error}, or {PRESENT}") from None


def _reading(metric: str) -> Callable[[str], float]:
    if metric.endswith("wait"):
        return lambda text: parse_duration(0 if text == "0" else text)
    return parse_ratio if metric in ("delayed", "failed") else _amount


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise ValueError(f"must be an amount such as 1.5, got {shown(text)}")
    return amount


def _metric(part: str, text: str) -> str:
    metric = " ".join(text.split())
    if metric not in METRICS:
        raise ValueError(f"{shown(part)}: {shown(metric)} must be {either(METRICS)}")
    return metric
