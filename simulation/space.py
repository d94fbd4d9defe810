"""The numbers of a `scaling` block that may be tuned, each on a scale of round values.

Pure. A Candidate is a place on each scale. Round values are what an operator would write, and few
enough for neighbours to differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from config.rules import ConcurrencyRule, RpsRule
from config.scaling import IdlePolicy, PolicyName, Scaling

Candidate = tuple[int, ...]
"""An index of each knob's values."""

_WINDOWS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0)
_PANIC_WINDOWS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0)
_THRESHOLDS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50)
_DELAYS = (0.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_TOLERANCES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
_RATES = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_FREEZES = (None, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_STOPS = (
    5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 450.0, 600.0, 900.0,
    1200.0, 1800.0, 3600.0, 7200.0,
)  # fmt: skip
# A target between a tenth and ten times the present one, in steps of about a fifth.
_STEPS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0,
          6.0, 8.0, 10.0)  # fmt: skip
_OURS = ("tidegate", "kpa")
# What the other policies do not use (docs/reference/policies.md).
_ONLY_OURS = ("panic_window", "panic_threshold", "max_down_rate")


@dataclass(frozen=True, slots=True)
class Knob:
    """`values` rise where they are numbers, the present one among them at `present`."""

    name: str
    values: tuple[Any, ...]
    present: int


@dataclass(frozen=True, slots=True)
class Space:
    """All that may change in `scaling`; `target` is the index of the rule whose target does."""

    scaling: Scaling
    knobs: tuple[Knob, ...]
    target: int | None

    @property
    def present(self) -> Candidate:
        return tuple(knob.present for knob in self.knobs)

    def changes(self, candidate: Candidate) -> dict[str, Any]:
        """What is not as it is now, by the name of its knob."""
        return {
            knob.name: knob.values[at]
            for knob, at in zip(self.knobs, candidate, strict=True)
            if at != knob.present
        }

    def settled(self, candidate: Candidate) -> Candidate:
        """The same without what would contradict itself or change nothing."""
        values = {
            knob.name: knob.values[at] for knob, at in zip(self.knobs, candidate, strict=True)
        }
        return tuple(
            _settled(knob, at, values, self.scaling)
            for knob, at in zip(self.knobs, candidate, strict=True)
        )

    def block(self, candidate: Candidate) -> Scaling:
        """The rules that it stands for."""
        changes = self.changes(candidate)
        idle: dict[str, Any] = {
            key: changes.pop(key) for key in ("freeze_after", "stop_after") if key in changes
        }
        if (sleep := changes.pop("sleep", None)) is not None:
            idle["policy"] = sleep
        if idle:
            changes["idle"] = self.scaling.idle.model_copy(update=idle)
        if (target := changes.pop("target", None)) is not None and self.target is not None:
            rules = list(self.scaling.rules)
            rules[self.target] = rules[self.target].model_copy(update={"target": target})
            changes["rules"] = tuple(rules)
        return self.scaling.model_copy(update=changes) if changes else self.scaling


def space(scaling: Scaling, policies: bool = False) -> Space:
    """Around the present rules. With `policies` the way of deciding may change, too."""
    target = next(
        (n for n, r in enumerate(scaling.rules) if isinstance(r, ConcurrencyRule | RpsRule)), None
    )
    knobs = [
        _knob("stable_window", _WINDOWS, scaling.stable_window),
        _knob("panic_window", _PANIC_WINDOWS, scaling.panic_window),
        _knob("panic_threshold", _THRESHOLDS, scaling.panic_threshold),
        _knob("tolerance", _TOLERANCES, scaling.tolerance),
        _knob("initial", _up_to(scaling.max, _COUNTS), scaling.initial),
        _knob("activation", _up_to(scaling.max, _COUNTS), scaling.activation),
        _knob("min", _up_to(scaling.max, (0, *_COUNTS)), scaling.min),
        _knob("down_delay", _DELAYS, scaling.down_delay),
        _knob("max_down_rate", _RATES, scaling.max_down_rate),
        _knob("freeze_after", _FREEZES, scaling.idle.freeze_after),
        _knob("stop_after", _STOPS, scaling.idle.stop_after),
        _named("sleep", get_args(IdlePolicy), scaling.idle.policy),
    ]
    if target is not None:
        rule = scaling.rules[target]
        assert isinstance(rule, ConcurrencyRule | RpsRule)
        targets = tuple(_rounded(rule.target * step) for step in _STEPS)
        knobs.insert(0, _knob("target", targets, rule.target))
    if policies:
        knobs.append(_named("policy", get_args(PolicyName), scaling.policy))
    return Space(scaling, tuple(knobs), target)


def _knob(name: str, values: Sequence[Any], present: Any) -> Knob:
    """None, which is never, stands where it belongs: at either end."""

    def order(value: Any) -> float:
        return _NEVER if value is None else value

    ordered = tuple(sorted({*values, present}, key=order))
    return Knob(name, ordered, ordered.index(present))


def _named(name: str, values: Sequence[str], present: str) -> Knob:
    return Knob(name, tuple(values), values.index(present))


_NEVER = float("inf")


def _up_to(most: int, values: Sequence[int]) -> tuple[int, ...]:
    return tuple(value for value in values if value <= most)


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _settled(knob: Knob, at: int, values: Mapping[str, Any], scaling: Scaling) -> int:
    """Its index, or the nearest that fits the others."""
    policy = values.get("policy", scaling.policy)
    if knob.name in _ONLY_OURS and policy not in _OURS:
        at = knob.present
    if knob.name == "sleep" and (policy != "tidegate" or values["stop_after"] is None):
        at = knob.present  # Scaling.is_sleep_learned
    fits: Callable[[Any], bool] | None = None
    if knob.name == "panic_window":
        fits = lambda value: value <= values["stable_window"]  # noqa: E731
    if knob.name == "freeze_after" and values["stop_after"] is not None:
        fits = lambda value: value is None or value < values["stop_after"]  # noqa: E731
    if fits is None or fits(knob.values[at]):
        return at
    fitting = [index for index, value in enumerate(knob.values) if fits(value)]
    return min(fitting, key=lambda index: abs(index - at), default=knob.present)
