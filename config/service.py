"""One service as the operator describes it. Frozen; the names are the contract's."""

from typing import Annotated, Literal

from pydantic import Field

from config.confinement import Capabilities, Tmpfs, User
from config.fields import (
    Absolute,
    Amount,
    Command,
    Count,
    Endpoints,
    Env,
    Flag,
    Hosts,
    Image,
    Labels,
    Model,
    NetworkNames,
    Port,
    Text,
    Texts,
    UrlPaths,
    Volumes,
)
from config.health import Health, Outliers, Probe, StartupProbe
from config.scaling import Scaling
from config.units import Duration, Positive, Ratio, Share, Size, at_most, format_ratio
from config.wake import Needs, WakeAnswers

__all__ = [
    "Balance",
    "Health",
    "Outliers",
    "Probe",
    "Queue",
    "Resources",
    "Retries",
    "Rollout",
    "Secret",
    "Service",
    "StartupProbe",
    "Timeouts",
]


class Secret(Model):
    """A file of the host, shown to the replica at `target`."""

    source: Text = Field(description="A file, relative to the configuration.")
    target: Absolute = Field(description="Where the replica finds it: /run/secrets/NAME.")


class Resources(Model):
    """Upper limits for one replica; null is no limit."""

    cpu: Amount | None = Field(None, description="Cores.")
    memory: Annotated[Size, Field(gt=0)] | None = Field(None, description="Bytes, as in 256MiB.")
    pids: Annotated[Count, Field(gt=0)] | None = Field(None, description="Processes and threads.")


class Queue(Model):
    """Requests that may wait for a replica, and how long."""

    size: Count = Field(1000, ge=0, description="More than so many are answered with 503.")
    timeout: Positive = Field(30.0, description="Longer than that is answered with 503.")


class Timeouts(Model):
    """How long a replica may be silent; 0 is for ever."""

    connect: Duration = Field(3.0, description="Until the connection stands.")
    response: Duration = Field(300.0, description="Until the first byte of the answer.")
    idle: Duration = Field(0.0, description="Silence in the middle.")


class Retries(Model):
    """How often a request may be tried again, and the share of requests that may be."""

    attempts: Count = Field(
        2,
        ge=0,
        description="Tries after the first one that was sent; 0 turns it off. What no replica"
        " accepts is tried as long as it may wait.",
    )
    budget: Annotated[Ratio, at_most(1.0, format_ratio)] = Field(
        0.2, description="Share of all requests that may be tried again."
    )


class Rollout(Model):
    """How a new revision replaces the old one. A share is of the desired count, rounded up."""

    max_surge: Share = Field(0.25, description="Replicas there may be more than desired.")
    max_unavailable: Share = Field(0, description="Replicas there may be fewer than desired.")
    healthy_for: Duration = Field(
        5.0, description="A new replica counts, and an old one leaves, when it was ready so long."
    )
    deadline: Positive = Field(600.0, description="A rollout without progress so long has failed.")
    on_failure: Literal["rollback", "pause"] = Field(
        "rollback",
        description="Back to the revision that was healthy last, or leave it as far as it came.",
    )


Balance = Literal["least_in_flight", "first_available", "round_robin", "random_of_two"]


class Service(Model):
    """What to route, run, scale and watch under one name."""

    name: str = Field("", exclude=True)
    hosts: Hosts = Field(
        (), description='Exact, "*.example.com" or "*"; default: ["<name>.localhost"].'
    )
    paths: UrlPaths = Field(("/",), description="Beginnings of a path; the longest wins.")
    command: Command = Field(
        (), description="What to run; with an image, instead of the image's own."
    )
    image: Image | None = Field(None, description="For runtimes of containers.")
    endpoints: Endpoints = Field(
        (), description="Addresses of what others run, instead of command and image."
    )
    port: Port = Field(8080, description="Where a container listens. A process is told in PORT.")
    env: Env = Field((), repr=False, description="Variables; values are text as written.")
    env_file: Texts = Field(
        (), description="Files of NAME=VALUE, relative to the configuration; `env` wins."
    )
    secrets: tuple[Secret, ...] = Field((), description="Files shown to the replica.")
    volumes: Volumes = Field((), description='"/host:/in:ro", "./beside:/in" or "name:/in".')
    networks: NetworkNames = Field((), description="Networks of the engine to join.")
    labels: Labels = Field((), description="Labels for the engine.")
    resources: Resources = Field(Resources(), description="Limits of one replica.")
    user: User | None = Field(
        None, description='Who runs it: "1000:1000" or "app". Processes: only if we are root.'
    )
    read_only: Flag = Field(
        False, description="Its files cannot be written; those of volumes and tmpfs can."
    )
    cap_drop: Capabilities = Field((), description="Capabilities taken away; ALL is every one.")
    cap_add: Capabilities = Field((), description="Capabilities given, after cap_drop.")
    tmpfs: Tmpfs = Field((), description='Folders in memory: /tmp, "/run:size=16m".')
    init: Flag = Field(False, description="A small init as process 1, which collects zombies.")
    concurrency: Count = Field(
        0, ge=0, description="Requests at once in one replica, as a hard limit; 0 is none."
    )
    queue: Queue = Field(Queue(), description="Requests that wait for a replica.")
    balance: Balance = Field("least_in_flight", description="Which replica gets a request.")
    slow_start: Duration = Field(
        0.0, description="A replica that becomes ready gets a share growing to a whole one so long."
    )
    timeouts: Timeouts = Field(Timeouts(), description="How long a replica may be silent.")
    retries: Retries = Field(Retries(), description="Trying again on another replica.")
    scaling: Scaling = Field(Scaling(), description="How many replicas.")
    wake: WakeAnswers = Field(WakeAnswers(), description="What clients see while it wakes.")
    depends_on: Needs = Field((), description="Services that must be there first, and are woken.")
    group: Text | None = Field(
        None, description="Services of one group wake together, and sleep when none is used."
    )
    health: Health = Field(Health(), description="Probes and ejection.")
    record: Flag = Field(
        False,
        description="Keep arrivals per second, service times and sizes, for `tidegate record` and "
        "`tidegate simulate`; see `recording`.",
    )
    drain: Duration = Field(30.0, description="How long requests in flight may finish.")
    stop_grace: Duration = Field(10.0, description="From SIGTERM to SIGKILL.")
    priority: Count = Field(
        0,
        description="Who comes first when the host is full; idle services of a higher one are not "
        "put to sleep for those of a lower one.",
    )
    rollout: Rollout = Field(Rollout(), description="How a new revision replaces the old one.")

    @property
    def is_timed(self) -> bool:
        """Whether somebody needs to know how long requests take."""
        return self.scaling.is_timed or self.record
