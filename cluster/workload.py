"""What a replica runs, as a driver needs it, and the revision that names it.

Pure. Two services that would run the same thing the same way have the same revision.
"""

import hashlib
from dataclasses import dataclass, field

import orjson

from config.service import Resources, Secret, Service


@dataclass(frozen=True, slots=True)
class Workload:
    """One immutable version of what to run."""

    service: str
    revision: str
    command: tuple[str, ...] = ()
    image: str | None = None
    port: int = 8080
    env: tuple[tuple[str, str], ...] = ()
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    resources: Resources = field(default_factory=Resources)


_FACTS = (
    "command",
    "image",
    "port",
    "env",
    "secrets",
    "volumes",
    "networks",
    "labels",
    "resources",
)


def workload_of(service: Service) -> Workload:
    """The workload of a service; env files were already read into `env` by the loader."""
    facts = service.model_dump(include=set(_FACTS))
    digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Workload(
        service=service.name,
        revision=digest[:8],
        **{name: getattr(service, name) for name in _FACTS},
    )
