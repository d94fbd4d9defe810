"""All that the gateway keeps of a configured service: what it needs to route, hold and send.

Pure. A tenth of the whole configuration's size, so that ten thousand sleeping services are cheap.
"""

from dataclasses import dataclass
from typing import Any

from config.service import Balance, Queue, Retries, Service, Timeouts
from config.wake import Ignored, WakeAnswers

_HELD = WakeAnswers()


@dataclass(frozen=True, slots=True)
class Sleeping:
    """What it says to requests while it sleeps, beside letting them wait."""

    ignored: Ignored | None = None
    page: bool = False
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """`timed`: its reports say how long requests took; `compared`: how each replica answered;
    `record`: what is recorded."""

    name: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    concurrency: int
    balance: Balance
    queue: Queue
    timeouts: Timeouts
    retries: Retries
    timed: bool = False
    sleeping: Sleeping | None = None
    slow_start: float = 0.0
    compared: bool = False
    record: bool = False


_DERIVED = ("name", "timed", "sleeping", "compared")

# What a gateway process must be told of a service: no environment, no secret goes there.
FIELDS: dict[str, Any] = {
    **{field: True for field in Routed.__slots__ if field not in _DERIVED},
    "scaling": {"idle": {"ignore"}},
    "wake": True,
    "health": {"outliers"},
}


def routed(name: str, service: Service) -> Routed:
    """The same service; hosts default to `<name>.localhost`."""
    return Routed(
        name=name,
        hosts=service.hosts or (f"{name}.localhost",),
        paths=service.paths,
        concurrency=service.concurrency,
        balance=service.balance,
        queue=service.queue,
        timeouts=service.timeouts,
        retries=service.retries,
        sleeping=_sleeping(service),
        timed=service.is_timed,
        record=service.record,
        slow_start=service.slow_start,
        compared=service.health.outliers.compares,
    )


def _sleeping(service: Service) -> Sleeping | None:
    ignored, wake = service.scaling.idle.ignore, service.wake
    if not ignored.is_any and wake == _HELD:
        return None
    return Sleeping(ignored if ignored.is_any else None, wake.page == "auto", wake.fallback)
