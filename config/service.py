"""One service as the operator describes it. Frozen; the names are the contract's."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from config.scaling import Scaling
from config.units import Duration, Ratio, Size


class Model(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Secret(Model):
    """A file of the host, shown to the replica at `target`."""

    source: str
    target: str


class Resources(Model):
    """Upper limits for one replica; None is no limit."""

    cpu: float | None = Field(None, gt=0)
    memory: Size | None = None
    pids: int | None = Field(None, gt=0)


class Queue(Model):
    """How many requests may wait for a replica, and how long (seconds)."""

    size: int = Field(1000, ge=0)
    timeout: Duration = 30.0


class Timeouts(Model):
    """Seconds; 0 is none. `response` runs to the first byte, `idle` is silence in the middle."""

    connect: Duration = 3.0
    response: Duration = 300.0
    idle: Duration = 0.0


class Retries(Model):
    """How often a request may be tried again, and the share of requests that may be."""

    attempts: int = Field(2, ge=0)
    budget: Ratio = 0.2


class StartupProbe(Model):
    """When a new replica may serve; exactly one of tcp, http, exec."""

    tcp: bool = False
    http: str | None = None
    exec: tuple[str, ...] | None = None
    every: Duration = 0.05
    timeout: Duration = 1.0
    deadline: Duration = 60.0


class Probe(Model):
    """A repeated check of a ready replica; exactly one of tcp, http, exec."""

    tcp: bool = False
    http: str | None = None
    exec: tuple[str, ...] | None = None
    every: Duration = 10.0
    timeout: Duration = 1.0
    failures: int = Field(3, ge=1)
    successes: int = Field(1, ge=1)


class Outliers(Model):
    """Ejection by what real traffic meets; `failures` 0 turns it off."""

    failures: int = Field(5, ge=0)
    eject_for: Duration = 10.0
    max_ejected: Ratio = 0.5


class Health(Model):
    startup: StartupProbe = StartupProbe(tcp=True)
    readiness: Probe | None = None
    liveness: Probe | None = None
    outliers: Outliers = Outliers()


class Rollout(Model):
    """How a new revision replaces the old one. A share is of the desired count, rounded up."""

    max_surge: Ratio | int = 0.25
    max_unavailable: Ratio | int = 0
    healthy_for: Duration = 5.0
    deadline: Duration = 600.0
    on_failure: Literal["rollback", "pause"] = "rollback"


Balance = Literal["least_in_flight", "first_available", "round_robin", "random_of_two"]


class Service(Model):
    """What to route, run, scale and watch under one name."""

    name: str = Field("", exclude=True)
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/",)
    command: tuple[str, ...] = ()
    image: str | None = None
    endpoints: tuple[str, ...] = ()
    port: int = Field(8080, ge=1, le=65535)
    env: tuple[tuple[str, str], ...] = ()
    env_file: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    resources: Resources = Resources()
    concurrency: int = Field(0, ge=0)
    queue: Queue = Queue()
    balance: Balance = "least_in_flight"
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    scaling: Scaling = Scaling()
    health: Health = Health()
    drain: Duration = 30.0
    stop_grace: Duration = 10.0
    rollout: Rollout = Rollout()
