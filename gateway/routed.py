"""All that the gateway keeps of a configured service: what it needs to route, hold and send.

Pure. A tenth of the whole configuration's size, so that ten thousand sleeping services are cheap.
"""

from dataclasses import dataclass

from config.service import Balance, Queue, Retries, Service, Timeouts


@dataclass(frozen=True, slots=True)
class Routed:
    """`timed`: its reports say how long requests took."""

    name: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    concurrency: int
    balance: Balance
    queue: Queue
    timeouts: Timeouts
    retries: Retries
    timed: bool = False


# What a gateway process must be told of a service: no environment, no secret goes there.
FIELDS = frozenset(Routed.__slots__) - {"name", "timed"}


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
        timed=service.scaling.is_timed,
    )
