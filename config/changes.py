"""What a reload changes, and what it cannot change.

Pure. Services come and go and change while Tidegate runs; sockets that are open, the runtime that
holds the replicas and the name that marks them do not.
"""

import re
from dataclasses import dataclass

from config.fields import Model
from config.settings import Settings

_OUTSIDE_SERVICES = (
    "owner",
    "state_dir",
    "orphan_timeout",
    "runtime",
    "docker",
    "host",
    "recording",
    "gateway",
    "admin",
)
_TOKEN = "admin.token_file"
# What is taken over while it runs; everything else out there is read once, at the start.
_LIVE = re.compile(
    r"(?:host|recording|gateway\.(?:limits|trusted_proxies|access_log|tls\[\d+\]\.certificates))(?![a-z_])"
    rf"|{re.escape(_TOKEN)}\Z"
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of services, sorted; dotted paths that a reload changes, and that need a restart."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()
    live: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Changes()


def diff(old: Settings, new: Settings) -> Changes:
    """From what is running to what was asked for."""
    before, after = old.services, new.services
    paths = _outside_services(old, new)
    live = {path for path in paths if _is_live(path, new)}
    return Changes(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(
            sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
        ),
        restart_needed=tuple(path for path in paths if path not in live),
        live=tuple(path for path in paths if path in live),
    )


def _is_live(path: str, new: Settings) -> bool:
    """What asks for a token is never left open while it runs."""
    return bool(_LIVE.match(path)) and (path != _TOKEN or new.admin.token_file is not None)


def _outside_services(old: Settings, new: Settings) -> list[str]:
    """As the file names them."""
    return [
        f"runtime.{path}" if key == "docker" else path
        for key in _OUTSIDE_SERVICES
        for path in _differing(key, getattr(old, key), getattr(new, key))
    ]


def _differing(path: str, old: object, new: object) -> list[str]:
    """The single keys below `path` that differ."""
    if old == new:
        return []
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        if all(isinstance(item, Model) for item in (*old, *new)):
            return [
                found
                for index, (one, other) in enumerate(zip(old, new, strict=True))
                for found in _differing(f"{path}[{index}]", one, other)
            ]
        return [path]
    if not (isinstance(old, Model) and isinstance(new, Model)):
        return [path]
    return [
        found
        for name in type(new).model_fields
        for found in _differing(f"{path}.{name}", getattr(old, name), getattr(new, name))
    ]
