"""How many replicas a service may have and why. Frozen; the names are the contract's."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.fields import Count, Model, Number
from config.units import Duration, Ratio, Window, above_one


class ConcurrencyRule(Model):
    """Requests in flight and queued, per replica."""

    metric: Literal["concurrency"] = "concurrency"
    target: Number = Field(10.0, gt=0, description="Requests at once that one replica should have.")


class RpsRule(Model):
    """Requests a second, per replica."""

    metric: Literal["rps"]
    target: Number = Field(100.0, gt=0, description="Requests a second for one replica.")


Rule = Annotated[ConcurrencyRule | RpsRule, Field(discriminator="metric")]


class Idle(Model):
    """The way to zero, counted from the last activity; null never does it."""

    freeze_after: Duration | None = Field(
        None, description="Take all CPU from the replicas; a request thaws them in milliseconds."
    )
    stop_after: Duration | None = Field(60.0, description="Stop the replicas.")


class Scaling(Model):
    """How many replicas, decided by the largest wish of all rules."""

    min: Count = Field(0, ge=0, description="Replicas that always run.")
    max: Count = Field(10, ge=1, description="Replicas that there may be at most.")
    initial: Count = Field(1, ge=1, description="Replicas that a wake from zero starts.")
    rules: tuple[Rule, ...] = Field((ConcurrencyRule(),), description="The largest wish wins.")
    stable_window: Window = Field(60.0, description="Load is averaged over it (at least 1s).")
    panic_window: Window = Field(6.0, description="The same in a burst (at least 1s).")
    panic_threshold: Annotated[Ratio, AfterValidator(above_one)] = Field(
        2.0,
        description="Load over the panic window, as a share of what the replicas there are for, "
        "from which scaling only goes up.",
    )
    max_up_rate: Number = Field(
        1000.0, gt=1, description="At most so many times the ready replicas after one decision."
    )
    max_down_rate: Number = Field(
        2.0, gt=1, description="At least the ready replicas divided by it after one decision."
    )
    down_delay: Duration = Field(
        0.0, description="Scale down to no less than the largest wish of that long."
    )
    idle: Idle = Field(Idle(), description="The way to zero.")
