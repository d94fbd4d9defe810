"""A container as the engine tells of it, read as an instance, and what it uses.

Pure. The engine has two shapes for the same thing: an entry of the listing, and an inspection.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cluster.model import Address, Exit, Instance, InstanceHealth, InstanceStatus, Usage
from runtimes.docker_spec import PORT_LABEL, container_name
from runtimes.labels import Mark, mark_of

Facts = Mapping[str, Any]

_STATUS = {
    "running": InstanceStatus.RUNNING,
    "restarting": InstanceStatus.RUNNING,
    "paused": InstanceStatus.FROZEN,
    # Made but never started, because we died in between: as an ended one it gets removed.
    "created": InstanceStatus.EXITED,
    "exited": InstanceStatus.EXITED,
    "dead": InstanceStatus.EXITED,
}
# The listing tells it only in words for people, before API 1.52.
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
_RETRIES = 3  # where the HEALTHCHECK names none
NEVER_STARTED = Exit(message="it was created but never started")


def our_mark(
    labels: Mapping[str, str] | None, names: Iterable[str] | None, owner: str
) -> Mark | None:
    """The marks of a container, when it is this owner's.

    Labels alone prove nothing: whoever starts a container from an image that was committed from
    one of ours, or copies what an inspection shows, has them too. A name is there only once.
    """
    mark = mark_of(labels or {})
    if mark is None or mark.owner != owner:
        return None
    ours = container_name(owner, mark.replica)
    return mark if any(name.removeprefix("/") == ours for name in names or ()) else None


def mark_in(facts: Facts, owner: str) -> Mark | None:
    """That of an inspected container."""
    return our_mark(facts["Config"].get("Labels"), [facts.get("Name") or ""], owner)


def listed(entry: Facts, owner: str, publish_on: str | None) -> Instance | None:
    """An entry of `GET /containers/json`; None when it is not ours or is being removed.

    How an ended one ended is not told there.
    """
    mark = our_mark(entry.get("Labels"), entry.get("Names"), owner)
    status = _STATUS.get(entry["State"])
    if mark is None or status is None:
        return None
    published = [
        str(port["PublicPort"])
        for port in entry.get("Ports") or ()
        if str(port["PrivatePort"]) == entry["Labels"].get(PORT_LABEL)
        and port.get("IP") == publish_on
        and port.get("PublicPort")
    ]
    return Instance(
        id=entry["Id"],
        replica=mark.replica,
        service=mark.service,
        revision=mark.revision,
        status=status,
        address=None
        if status is InstanceStatus.EXITED
        else _address(entry, entry["Labels"], published, publish_on),
        started_at=float(entry["Created"]),
        health=_health_in(entry.get("Status") or ""),
    )


def inspected(facts: Facts, owner: str, publish_on: str | None) -> Instance | None:
    """The answer of `GET /containers/{id}/json`; None when it is not ours or is being removed."""
    labels = facts["Config"].get("Labels") or {}
    mark = mark_in(facts, owner)
    status = _STATUS.get(facts["State"]["Status"])
    if mark is None or status is None:
        return None
    ports = facts["NetworkSettings"].get("Ports") or {}
    published = [
        binding["HostPort"]
        for binding in ports.get(f"{labels.get(PORT_LABEL)}/tcp") or ()
        if binding["HostIp"] == publish_on
    ]
    ended = status is InstanceStatus.EXITED
    return Instance(
        id=facts["Id"],
        replica=mark.replica,
        service=mark.service,
        revision=mark.revision,
        status=status,
        address=None if ended else _address(facts, labels, published, publish_on),
        # To the second, as the listing has it: both tell the same of one container.
        started_at=float(int(seconds(facts["Created"]))),
        exit=exit_of(facts) if ended else None,
        health=None if ended else health_of(facts),
    )


def health_of(facts: Facts) -> InstanceHealth | None:
    """What the HEALTHCHECK of an inspected container says; None without one.

    The engine calls whatever it pauses unhealthy and keeps that until the next check has passed,
    without an event: only as many failures as it takes are believed.
    """
    health = facts["State"].get("Health") or {}
    status = health.get("Status")
    if status != "unhealthy":
        return InstanceHealth(status) if status in ("starting", "healthy") else None
    retries = (facts["Config"].get("Healthcheck") or {}).get("Retries") or _RETRIES
    if health.get("FailingStreak", retries) >= retries:
        return InstanceHealth.UNHEALTHY
    passed = any(entry.get("ExitCode") == 0 for entry in health.get("Log") or ())
    return InstanceHealth.HEALTHY if passed else InstanceHealth.STARTING


def _health_in(words: str) -> InstanceHealth | None:
    """From `Up 3 seconds (health: starting)`."""
    match = _HEALTH.search(words)
    return InstanceHealth(match[1]) if match else None


def exit_of(facts: Facts) -> Exit:
    """How an inspected container ended."""
    state = facts["State"]
    if state["Status"] == "created":
        return Exit(message=state["Error"]) if state.get("Error") else NEVER_STARTED
    return Exit(
        code=signal_in(int(state["ExitCode"])),
        oom=bool(state.get("OOMKilled")),
        message=state.get("Error") or "",
        memory=(facts.get("HostConfig") or {}).get("Memory") or None,
    )


def signal_in(code: int) -> int:
    """An exit code over 128 is a signal's, as in a shell; here it is negative."""
    return 128 - code if 128 < code < 128 + 65 else code


def used(stats: Facts) -> Usage | None:
    """The answer of `GET /containers/{id}/stats`; None when it does not run.

    As `docker stats` reckons: without the file pages that nobody used lately, which have one name
    with version 1 of control groups and another with version 2.
    """
    memory = stats["memory_stats"]
    if "usage" not in memory:
        return None
    pages = memory.get("stats") or {}
    idle = pages.get("total_inactive_file", pages.get("inactive_file", 0))
    nanoseconds = stats["cpu_stats"]["cpu_usage"]["total_usage"]
    return Usage(nanoseconds / 1e9, max(0, int(memory["usage"]) - int(idle)))


def seconds(timestamp: str) -> float:
    """Seconds since 1970 of an RFC 3339 timestamp. Raises ValueError."""
    return datetime.fromisoformat(timestamp).timestamp()


def _address(
    facts: Facts, labels: Mapping[str, str], published: Iterable[str], publish_on: str | None
) -> Address | None:
    for port in published:
        return Address(publish_on or "", int(port))
    host = _host(facts)
    port_told = labels.get(PORT_LABEL, "")
    return Address(host, int(port_told)) if host and port_told.isdecimal() else None


def _host(facts: Facts) -> str | None:
    mode = facts["HostConfig"]["NetworkMode"]
    if mode == "host":
        return "127.0.0.1"
    networks = facts["NetworkSettings"]["Networks"] or {}
    # "default" stands for the engine's own bridge, and an id may stand for a name.
    first: Facts = networks.get(mode) or next(iter(networks.values()), {})
    return first.get("IPAddress") or first.get("GlobalIPv6Address") or None
