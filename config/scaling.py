"""How many replicas a service may have and why. Frozen; the names are the contract's."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from config.units import Duration, Ratio


class Model(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConcurrencyRule(Model):
    """Requests in flight and queued, per replica."""

    metric: Literal["concurrency"] = "concurrency"
    target: float = Field(10, gt=0)


class RpsRule(Model):
    """Requests a second, per replica."""

    metric: Literal["rps"]
    target: float = Field(100, gt=0)


Rule = Annotated[ConcurrencyRule | RpsRule, Field(discriminator="metric")]


class Idle(Model):
    """The way to zero, counted from the last activity (seconds); None never does it."""

    freeze_after: Duration | None = None
    stop_after: Duration | None = 60.0


class Scaling(Model):
    min: int = Field(0, ge=0)
    max: int = Field(10, ge=0)
    initial: int = Field(1, ge=1)
    rules: tuple[Rule, ...] = (ConcurrencyRule(),)
    stable_window: Duration = 60.0
    panic_window: Duration = 6.0
    panic_threshold: Ratio = 2.0
    max_up_rate: float = Field(1000, gt=1)
    max_down_rate: float = Field(2, gt=1)
    down_delay: Duration = 0.0
    idle: Idle = Idle()
