"""One line per request, for those who want it: JSON, or the combined format of Apache and nginx.

Everything a client sent is escaped, so that no line can be forged and no terminal be driven.
"""

import json
import logging
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from gateway import grammar

if TYPE_CHECKING:
    from gateway.exchange import Exchange

log = logging.getLogger("tidegate.access")

_MAX_LOGGED = 2048
_HOST = grammar.named_field(b"host")
_REFERER = grammar.named_field(b"referer")
_USER_AGENT = grammar.named_field(b"user-agent")


@dataclass(slots=True)
class Entry:
    """One finished request. `duration` is in seconds, `sent` counts bytes of the body."""

    client: str
    method: bytes
    target: bytes
    minor: int
    head: bytes
    status: int
    sent: int
    duration: float
    service: str
    replica: str
    request_id: str


def entry_of(exchange: "Exchange", status: int, now: float) -> Entry:
    """Of a request that a service was found for."""
    request, client = exchange.request, exchange.client
    made = b"%b%x" % (client.context.id_prefix, exchange.number)
    return Entry(
        client=client.peer.ip.decode(),
        method=request.method,
        target=request.target,
        minor=request.minor,
        head=request.raw,
        status=status,
        sent=exchange.sent,
        duration=now - exchange.started,
        service=exchange.destination.name,
        replica=exchange.slot.endpoint.replica if exchange.slot else "",
        request_id=(request.request_id or made).decode("ascii", "backslashreplace"),
    )


class AccessLog(Protocol):
    def __call__(self, entry: Entry) -> None: ...


def access_log(kind: str) -> AccessLog | None:
    """For `json` and `combined`; None for `off`, which then costs nothing."""
    writers: dict[str, AccessLog] = {"json": _write_json, "combined": _write_combined}
    return writers.get(kind)


def _write_json(entry: Entry) -> None:
    log.info("%s", json_line(entry, time.time()))


def _write_combined(entry: Entry) -> None:
    log.info("%s", combined_line(entry, time.time()))


def json_line(entry: Entry, wall: float) -> str:
    """`wall` is seconds since 1970."""
    return json.dumps(
        {
            "time": datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds"),
            "client": entry.client,
            "method": _text(entry.method),
            "target": _text(entry.target),
            "protocol": f"HTTP/1.{entry.minor}",
            "host": _field(_HOST, entry.head),
            "status": entry.status,
            "bytes": entry.sent,
            "duration": round(entry.duration, 6),
            "service": entry.service,
            "replica": entry.replica,
            "request_id": entry.request_id,
            "user_agent": _field(_USER_AGENT, entry.head),
        }
    )


def combined_line(entry: Entry, wall: float) -> str:
    """`wall` is seconds since 1970."""
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(wall))
    line = f"{_quoted(entry.method)} {_quoted(entry.target)} HTTP/1.{entry.minor}"
    referer = _quoted(_raw(_REFERER, entry.head)) or "-"
    agent = _quoted(_raw(_USER_AGENT, entry.head)) or "-"
    sent = entry.sent or "-"
    return f'{entry.client} - - [{stamp}] "{line}" {entry.status} {sent} "{referer}" "{agent}"'


def _raw(pattern: re.Pattern[bytes], head: bytes) -> bytes:
    found = pattern.search(head)
    return found[1].strip()[:_MAX_LOGGED] if found else b""


def _field(pattern: re.Pattern[bytes], head: bytes) -> str:
    return _text(_raw(pattern, head))


def _text(value: bytes) -> str:
    return value[:_MAX_LOGGED].decode("ascii", "backslashreplace")


def _quoted(value: bytes) -> str:
    """As Apache does: quotes, backslashes and all that is not printable ASCII are escaped."""
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in value[:_MAX_LOGGED]
    )
