"""What a service may be scaled by. Frozen; `metric` names the kind, `schedule` marks the others.

A target is per replica: a load of 60 at a target of 20 asks for three.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Strict, Tag

from config import calendar
from config.addresses import http_url, redis_url
from config.fields import Amount, Count, Env, Model, Number, Text
from config.json_path import json_path
from config.units import Positive, Ratio, format_ratio

SCHEDULE = "schedule"
# No key of it: what is wrong inside is found by its keys.
_TAG = "a schedule"


def _more_than_nothing(ratio: float) -> float:
    if ratio <= 0:
        raise ValueError(f"must be more than 0%, got {format_ratio(ratio)}")
    return ratio


def _one_line_each(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The values are not repeated: they are secrets."""
    for name, value in headers:
        if not value.isprintable():
            raise ValueError(f"{name} must be one line of printable characters")
    return headers


HttpUrl = Annotated[Text, AfterValidator(http_url)]
RedisUrl = Annotated[Text, AfterValidator(redis_url)]
Headers = Annotated[Env, AfterValidator(_one_line_each)]
JsonPath = Annotated[Text, AfterValidator(json_path)]
Percentile = Annotated[float, Strict(), Field(gt=0, lt=100), AfterValidator(float)]
UsedShare = Annotated[Ratio, AfterValidator(_more_than_nothing)]


class ConcurrencyRule(Model):
    """Requests in flight and queued."""

    metric: Literal["concurrency"] = "concurrency"
    target: Number = Field(10.0, gt=0, description="Requests at once that one replica should have.")


class RpsRule(Model):
    """Requests a second."""

    metric: Literal["rps"]
    target: Number = Field(100.0, gt=0, description="Requests a second for one replica.")


class LatencyRule(Model):
    """How long answers take until their first byte, waits included, wakes not. What a replica
    bears at once is learned, and anew with each revision; if latency does not follow the number
    of replicas, none are added for it."""

    metric: Literal["latency"]
    percentile: Percentile = Field(95.0, description="Of all requests, so many in a hundred.")
    target: Positive = Field(description="Their latency at most.")


class QueueWaitRule(Model):
    """How long requests wait for a place in a replica, as with a limit of `concurrency`; not for
    a wake. While none waits too long, the number is held or falls to what the load needs."""

    metric: Literal["queue_wait"]
    percentile: Percentile = Field(95.0, description="Of all requests, so many in a hundred.")
    target: Positive = Field(description="Their wait at most.")


class CpuRule(Model):
    """CPU of the replicas, as a share of `resources.cpu`, or of one core."""

    metric: Literal["cpu"]
    target: UsedShare = Field(0.7, description="The share that one replica should use.")


class MemoryRule(Model):
    """Memory of the replicas, as a share of `resources.memory`, which it needs."""

    metric: Literal["memory"]
    target: UsedShare = Field(0.8, description="The share that one replica should use.")


class Asked(Model):
    """What every rule has that asks somebody else."""

    target: Amount = Field(description="As much for one replica.")
    activation: Number = Field(
        0.0, ge=0, description="More than this wakes the service and keeps it awake."
    )
    every: Positive = Field(15.0, description="How often it is asked.")
    timeout: Positive = Field(3.0, description="How long an answer may take.")
    failures: Count = Field(3, ge=1, description="After so many in a row, `fallback` is wished.")
    fallback: Count | None = Field(
        None, ge=0, description="Replicas to wish then; without it the number is held."
    )


class PrometheusRule(Asked):
    """The value of a Prometheus query."""

    metric: Literal["prometheus"]
    url: HttpUrl = Field(description="Of the server: http://prometheus:9090.")
    query: Text = Field(description="PromQL that gives one value.")
    headers: Headers = Field((), repr=False, description="Sent along, as for authorization.")


class JsonRule(Asked):
    """A number in a JSON document."""

    metric: Literal["json"]
    url: HttpUrl = Field(description="Where the document is.")
    value: JsonPath = Field(
        description='Where the number is in it: queue.length, jobs[0].count, ["a key"]; $: it all.'
    )
    headers: Headers = Field((), repr=False, description="Sent along, as for authorization.")


class RedisRule(Asked):
    """The length of a list in Redis, or what is unread or unacknowledged in a stream."""

    metric: Literal["redis"]
    url: RedisUrl = Field(description="redis://host:6379/0, rediss:// for TLS, unix:///a.sock.")
    list: Text | None = Field(None, description="The list.")
    stream: Text | None = Field(None, description="The stream, instead.")
    group: Text | None = Field(None, description="The stream's consumer group: its backlog counts.")


class CustomRule(Asked):
    """What Python of yours says: an entry point of the group `tidegate.metrics`."""

    metric: Literal["custom"]
    name: Text = Field(description="Of the entry point.")
    options: Env = Field((), description="Handed to it.")


class Schedule(Model):
    """Bounds for times of the week, instead of scaling.min and max; at least one is needed.

    Of several schedules at once the largest min and the smallest max count; replicas
    beats both, and of several the first in the file.
    """

    schedule: Annotated[Text, AfterValidator(calendar.cron)] = Field(
        description="Cron: when it begins."
    )
    until: Annotated[Text, AfterValidator(calendar.cron)] = Field(description="Cron: when it ends.")
    timezone: Annotated[Text, AfterValidator(calendar.timezone)] = Field(
        "UTC", description="As Europe/Berlin."
    )
    min: Count | None = Field(
        None, ge=0, description="Instead of scaling.min: so many run, asked for or not."
    )
    max: Count | None = Field(
        None,
        ge=0,
        description="Instead of scaling.max. 0: asleep, and requests are answered with 503.",
    )
    replicas: Count | None = Field(None, ge=0, description="Exactly so many, instead of both.")


def _kind(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return _TAG if SCHEDULE in value else value.get("metric")
    return getattr(value, "metric", _TAG)


AskingRule = PrometheusRule | JsonRule | RedisRule | CustomRule
MetricRule = (
    ConcurrencyRule | RpsRule | LatencyRule | QueueWaitRule | CpuRule | MemoryRule | AskingRule
)
Rule = Annotated[
    Annotated[ConcurrencyRule, Tag("concurrency")]
    | Annotated[RpsRule, Tag("rps")]
    | Annotated[LatencyRule, Tag("latency")]
    | Annotated[QueueWaitRule, Tag("queue_wait")]
    | Annotated[CpuRule, Tag("cpu")]
    | Annotated[MemoryRule, Tag("memory")]
    | Annotated[PrometheusRule, Tag("prometheus")]
    | Annotated[JsonRule, Tag("json")]
    | Annotated[RedisRule, Tag("redis")]
    | Annotated[CustomRule, Tag("custom")]
    | Annotated[Schedule, Tag(_TAG)],
    Discriminator(_kind),
]
