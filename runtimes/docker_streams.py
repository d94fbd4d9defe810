"""The engine's two endless answers: its events, and the output of a container.

Pure: bytes in, hints and lines out.
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from cluster.model import InstanceStatus
from cluster.runtime import Hint, LogLine
from runtimes.docker_view import seconds
from runtimes.labels import OWNER, SERVICE

# What a container is after an event. `kill` and `stop` only announce what `die` tells, and
# `exec_*` come with every probe.
_EVENTS = {
    "start": InstanceStatus.RUNNING,
    "die": InstanceStatus.EXITED,
    "oom": None,
    "pause": InstanceStatus.FROZEN,
    "unpause": InstanceStatus.RUNNING,
    "health_status": InstanceStatus.RUNNING,  # told as `health_status: healthy`
    "destroy": None,
}
_FRAME = struct.Struct(">BxxxL")
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}
# The engine cuts long lines into pieces; we put them together up to here.
_LONGEST_LINE = 1 << 18


def events_of(owner: str) -> dict[str, str]:
    """The query that makes `GET /events` tell of this owner's containers only."""
    filters: dict[str, Any] = {
        "type": ["container"],
        "label": [f"{OWNER}={owner}"],
        "event": list(_EVENTS),
    }
    return {"filters": orjson.dumps(filters).decode()}


@dataclass(frozen=True, slots=True)
class News:
    """One event of a container: what it must be by now, and where to look again. `starts`: it has
    another main process."""

    id: str
    status: InstanceStatus | None
    hint: Hint
    starts: bool = False


def news_of(line: bytes) -> News:
    """One line of the events. Raises ValueError or LookupError for nonsense."""
    event = orjson.loads(line)
    actor = event["Actor"]
    id, action = actor["ID"], event["Action"].partition(":")[0]
    status = _EVENTS.get(action)
    ended = id if status is InstanceStatus.EXITED else None
    hint = Hint(actor["Attributes"].get(SERVICE), ended)
    return News(id, status, hint, starts=action == "start")


def output_of(tail: int, follow: bool) -> dict[str, str]:
    """The query of `GET /containers/{id}/logs`."""
    return {
        "stdout": "1",
        "stderr": "1",
        "timestamps": "1",
        "tail": str(tail),
        "follow": "1" if follow else "0",
    }


class Output:
    """Puts the frames of a log stream together to lines.

    Docker Engine API, "Stream format": eight bytes (stream, three zeros, length), then the piece,
    which with timestamps begins with its time.
    """

    __slots__ = ("_bytes", "_lines", "_replica")

    def __init__(self, replica: str) -> None:
        self._replica = replica
        self._bytes = bytearray()
        self._lines: dict[str, tuple[float | None, bytes]] = {}

    def feed(self, data: bytes) -> Iterator[LogLine]:
        self._bytes += data
        while len(self._bytes) >= _FRAME.size:
            stream, length = _FRAME.unpack_from(self._bytes)
            end = _FRAME.size + length
            if len(self._bytes) < end:
                return
            piece = bytes(self._bytes[_FRAME.size : end])
            del self._bytes[:end]
            yield from self._piece(_STREAMS.get(stream, "stderr"), piece)

    def end(self) -> Iterator[LogLine]:
        """Last words without an end of line."""
        for stream in list(self._lines):
            yield self._line(stream)

    def _piece(self, stream: str, piece: bytes) -> Iterator[LogLine]:
        at, text = _timed(piece)
        first, former = self._lines.get(stream, (at, b""))
        self._lines[stream] = (first, former + text)
        if text.endswith(b"\n") or len(former) + len(text) > _LONGEST_LINE:
            yield self._line(stream)

    def _line(self, stream: str) -> LogLine:
        at, text = self._lines.pop(stream)
        return LogLine(self._replica, stream, text.rstrip(b"\r\n").decode(errors="replace"), at)


def _timed(piece: bytes) -> tuple[float | None, bytes]:
    stamp, _, text = piece.partition(b" ")
    with contextlib.suppress(ValueError):
        return seconds(stamp.decode("ascii", "replace")), text
    return None, piece
