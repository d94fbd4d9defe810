"""The five messages, and what a gateway process must be told, as bytes: one JSON line each.

The shapes are those of cluster/messages.py; nothing else crosses between control process and
gateway processes.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter

from cluster.messages import Drained, EndpointSnapshot, LoadReport, Outcome, Wake

# Of what is said here. A control process and a gateway process of another version understand only
# TakeOver, Drain, Ping, Pong and DrainedAll of each other, which therefore never change.
VERSION = 1


class Malformed(Exception):
    """The line is none of ours."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Routes and limits, as dumped by the models of `config`; read again by the same models."""

    gateway: dict[str, Any]
    services: dict[str, dict[str, Any]]
    lines: dict[str, int] = field(default_factory=dict)  # of each service, when several share them
    timed: tuple[str, ...] = ()  # services whose reports tell times


@dataclass(frozen=True, slots=True)
class Share:
    """The places of a replica are shared under that number; the descriptor comes apart.

    `ask`: requests may be in flight there that had no limit; say when they are counted.
    """

    service: str
    replica: str
    number: int
    ask: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """What is in flight here has its places of the share."""

    number: int


@dataclass(frozen=True, slots=True)
class Unshare:
    """They are shared no more, and the number may be another's next."""

    service: str
    replica: str
    number: int


@dataclass(frozen=True, slots=True)
class Left:
    """Nothing of the replica is in this process, as of that version of the service's snapshot."""

    drained: Drained
    version: int


@dataclass(frozen=True, slots=True)
class Begin:
    """Accept on the listening sockets that were inherited, in this order."""

    sockets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Began:
    """It accepts."""


@dataclass(frozen=True, slots=True)
class CannotBegin:
    """It cannot accept; `reason` says why, and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Accept no more; finish what is in flight for that many seconds. Clients that are idle may
    send a request for `patience` seconds."""

    timeout: float
    patience: float = 0.0


@dataclass(frozen=True, slots=True)
class DrainedAll:
    """Nothing is in flight any more."""


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Whoever says this is the control process from now on. Versions of snapshots begin anew."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer: replicas (service, name) that requests are in flight to."""

    holds: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """Say anything."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Still here."""


@dataclass(frozen=True, slots=True)
class Count:
    """Tell all counts; `ticket` comes back with them."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Counts:
    """All counts of one gateway, as its own statistics type dumps them."""

    ticket: int
    stats: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shedding:
    """Clients are refused because memory is short, or no longer, and why."""

    sheds: bool
    why: str


Message = (
    EndpointSnapshot
    | LoadReport
    | Wake
    | Outcome
    | Configure
    | Share
    | Joined
    | Unshare
    | Left
    | Begin
    | Began
    | CannotBegin
    | Drain
    | DrainedAll
    | TakeOver
    | Taken
    | Ping
    | Pong
    | Count
    | Counts
    | Shedding
)

_KINDS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        EndpointSnapshot,
        LoadReport,
        Wake,
        Outcome,
        Configure,
        Share,
        Joined,
        Unshare,
        Left,
        Begin,
        Began,
        CannotBegin,
        Drain,
        DrainedAll,
        TakeOver,
        Taken,
        Ping,
        Pong,
        Count,
        Counts,
        Shedding,
    )
}


def encode(message: Message) -> bytes:
    """One line, its end included."""
    content = {"kind": type(message).__name__, "body": message}
    return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)


def decode(line: bytes) -> Message:
    """Raises Malformed."""
    try:
        content = orjson.loads(line)
        message: Message = _KINDS[content["kind"]].validate_python(content["body"])
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"not a message: {line[:200]!r}") from error
    return message
