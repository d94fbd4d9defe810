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
    user: str | None = None
    read_only: bool = False
    cap_drop: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    init: bool = False


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
# Newer than the first release: unset, they leave the revisions as they were, so that a newer
# Tidegate replaces nothing that an older one has started.
_LATER_FACTS = ("user", "read_only", "cap_drop", "cap_add", "tmpfs", "init")


def workload_of(service: Service) -> Workload:
    """The workload of a service; env files were already read into `env` by the loader."""
    set_later = [name for name in _LATER_FACTS if getattr(service, name)]
    facts = service.model_dump(include={*_FACTS, *set_later})
    digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Workload(
        service=service.name,
        revision=digest[:8],
        **{name: getattr(service, name) for name in (*_FACTS, *_LATER_FACTS)},
    )
