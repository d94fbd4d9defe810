"""What the answers of one source mean: its value, for how long it has failed, what a rule makes
of it.

Pure. An answer that is no number is none (NaN, infinity). While there is none, what is awake
stays awake and keeps its number, whatever was measured before: a queue that cannot be looked at
may be full.
"""

import math
from dataclasses import dataclass, replace

from autoscaler.gauges import Gauge
from config.rules import AskingRule

# A source is asked again and again: one that missed two turns has nobody who asks it.
_TURNS = 2.0
_GRACE = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer. `value` None: there was none, and `says` tells why.

    `at` is loop time, `took` in seconds; `silent`: it answered, but had no value.
    """

    value: float | None
    at: float
    says: str = ""
    took: float = 0.0
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The last answer, and how often in a row there was none."""

    reading: Reading
    failing: int = 0

    @property
    def value(self) -> float | None:
        return self.reading.value


def reading_of(value: float, at: float, took: float = 0.0) -> Reading:
    if math.isfinite(value):
        return Reading(value, at, took=took)
    return Reading(None, at, f"its value is {value:g}", took, silent=True)


def heard(former: Standing | None, reading: Reading) -> Standing:
    """How it stands after one more answer."""
    if reading.value is not None:
        return Standing(reading)
    return Standing(reading, (former.failing if former else 0) + 1)


def gauge_of(standing: Standing, rule: AskingRule, every: float) -> Gauge:
    """What the rule sees, for a source that is asked `every` so many seconds."""
    until = standing.reading.at + _TURNS * every + rule.timeout + _GRACE
    if standing.value is not None:
        return replace(_measured(standing.value, rule), until=until)
    return replace(_missing(standing, rule), until=until)


def _measured(value: float, rule: AskingRule) -> Gauge:
    return Gauge(
        value,
        says=f"{value:g}, more than {rule.activation:g}" if value > rule.activation else "",
        is_active=value > rule.activation,
    )


def _missing(standing: Standing, rule: AskingRule) -> Gauge:
    """With a fallback it falls back as if that had been measured; without, all is held."""
    gauge = Gauge(None, standing.reading.says, failing=standing.failing, holds=True)
    if rule.fallback is None or standing.failing < rule.failures:
        return gauge
    return replace(gauge, holds=False, is_active=rule.fallback > 0)
