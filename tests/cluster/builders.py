"""Replicas and services in few words."""

from cluster.lifecycle import State
from cluster.model import Replica
from config.service import Service


def a_replica(
    name: str,
    state: State = State.READY,
    *,
    revision: str = "new",
    service: str = "web",
    since: float = 0.0,
    reason: str = "",
) -> Replica:
    return Replica(name, service, revision, state, 0.0, since, f"i-{name}", None, reason)


def a_service(name: str = "web", **changes: object) -> Service:
    return Service(name=name, command=("serve",), **changes)
