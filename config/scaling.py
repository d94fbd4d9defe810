"""How many replicas a service may have and why. Frozen; the names are the contract's."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.fields import AsWritten, Count, Model, Number
from config.rules import (
    ConcurrencyRule,
    LatencyRule,
    MetricRule,
    QueueWaitRule,
    Rule,
    Schedule,
)
from config.units import Duration, Positive, Ratio, Window, above_one
from config.wake import Ignored

IdlePolicy = Literal["timeout", "learned"]
PolicyName = Literal["tidegate", "kpa", "hpa", "ray"]


class Step(Model):
    """How far one way in one period; percent of the replicas there were at its beginning."""

    percent: Count | None = Field(None, ge=1, description="So many in a hundred.")
    replicas: Count | None = Field(None, ge=1, description="Or so many replicas.")
    period: Positive = Field(15.0, description="Counted over the last so long.")


class Way(Model):
    """Limits of one way, up or down, as of a HorizontalPodAutoscaler (autoscaling/v2)."""

    policies: tuple[Step, ...] = Field((), description="How far in a period; none is no limit.")
    select: Literal["max", "min", "disabled"] = Field(
        "max", description="Of several policies the widest or the narrowest; disabled: not at all."
    )
    tolerance: Ratio | None = Field(None, description="Instead of scaling.tolerance.")


class Idle(AsWritten):
    """The way to zero, counted from the last activity; null never does it."""

    policy: IdlePolicy = Field(
        "timeout",
        description="When replicas stop: after stop_after, or as the calls so far tell (learned), "
        "which also wakes before a call that is expected; see sleep.md.",
    )
    wake_cost: Number = Field(600.0, gt=0, description="What one wake costs; for learned.")
    idle_minute_cost: Number = Field(
        1.0, gt=0, description="What a minute costs in which a replica idles; for learned."
    )
    freeze_after: Duration | None = Field(
        None, description="Take all CPU from the replicas; a request thaws them in milliseconds."
    )
    stop_after: Duration | None = Field(
        60.0,
        description="Stop the replicas. Other policies have their own time; null holds for all.",
    )
    remove_after: Duration | None = Field(
        None,
        description="Keep what was stopped for so long, to start it again with what it wrote; "
        "containers only. Without it, what is stopped is removed at once.",
    )
    ignore: Ignored = Field(Ignored(), description="Requests that are no activity.")


class Scaling(AsWritten):
    """How many replicas, decided by the largest wish of all rules."""

    min: Count = Field(0, ge=0, description="Replicas that always run.")
    max: Count = Field(10, ge=1, description="Replicas that there may be at most.")
    initial: Count = Field(1, ge=1, description="Replicas that a wake from zero starts.")
    activation: Count = Field(1, ge=1, description="Replicas at least, unless there are none.")
    policy: PolicyName = Field(
        "tidegate",
        description="Whose way of deciding: ours, that of Knative (kpa), of Kubernetes with KEDA "
        "(hpa), or of Ray Serve (ray), each with its own numbers and its own way to zero: "
        "see policies.md.",
    )
    rules: tuple[Rule, ...] = Field((ConcurrencyRule(),), description="The largest wish wins.")
    stable_window: Window = Field(60.0, description="Load is averaged over it (at least 1s).")
    panic_window: Window = Field(6.0, description="The same in a burst (at least 1s).")
    panic_threshold: Annotated[Ratio, AfterValidator(above_one)] = Field(
        2.0,
        description="Load over the panic window, as a share of what the replicas there are for, "
        "from which scaling only goes up.",
    )
    tolerance: Ratio = Field(
        0.1, description="A load so near to what the replicas are for changes nothing."
    )
    max_up_rate: Number = Field(
        1000.0, gt=1, description="At most so many times the ready replicas after one decision."
    )
    max_down_rate: Number = Field(
        2.0, gt=1, description="At least the ready replicas divided by it after one decision."
    )
    up: Way = Field(Way(), description="Limits of the way up, beside max_up_rate.")
    down: Way = Field(Way(), description="Limits of the way down, beside max_down_rate.")
    down_delay: Duration = Field(
        0.0, description="Scale down to no less than the largest wish of that long."
    )
    idle: Idle = Field(Idle(), description="The way to zero.")

    @property
    def is_sleep_learned(self) -> bool:
        """Other ways of deciding have their own way to zero; without a timeout there is none."""
        learned = self.idle.policy == "learned" and self.idle.stop_after is not None
        return learned and self.policy == "tidegate"

    @property
    def metric_rules(self) -> tuple[MetricRule, ...]:
        """The rules that wish for replicas."""
        return tuple(rule for rule in self.rules if not isinstance(rule, Schedule))

    @property
    def is_timed(self) -> bool:
        """Whether a rule needs to know how long requests take."""
        return any(isinstance(rule, LatencyRule | QueueWaitRule) for rule in self.rules)

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The rules that set bounds."""
        return tuple(rule for rule in self.rules if isinstance(rule, Schedule))
