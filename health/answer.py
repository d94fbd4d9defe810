"""What a replica answered to an HTTP probe, from the bytes seen so far.

Pure. Just enough of HTTP/1.1 (RFC 9112) to know the status, the start of the body and where the
answer ends: a probe reads at most 4 KiB of a body.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from config.health import Check
from config.probe_fields import pattern

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 4 * 1024
EXCERPT = 80

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,18})[ \t]*\r?$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:[^\r\n]*\bchunked[ \t]*\r?$")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_LAST_CHUNK = re.compile(rb"(?:^|\r\n)0+(?:;[^\r\n]*)?\r\n\r\n$")
_NO_BODY = frozenset({204, 304})


class NotHttp(Exception):
    """Those bytes can never become an HTTP/1.1 answer. The text says what they are."""


@dataclass(slots=True)
class Answer:
    """Fed with bytes until `complete`. `status` is 0 until the whole head has come."""

    status: int = 0
    complete: bool = False
    _head: bytes = b""
    _body: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Raises NotHttp."""
        self._body += data
        while not self.status and self._cut_head():
            pass
        if not self.status and len(self._body) > HEAD_LIMIT:
            raise NotHttp(f"sent more than {HEAD_LIMIT // 1024} KiB of header fields")
        self.complete = self.status > 0 and self._is_whole()

    def end(self) -> None:
        """The replica closed the connection. Raises NotHttp."""
        if not self.status:
            raise NotHttp("closed the connection before it answered")
        self.complete = True

    def text(self) -> str:
        """The start of the body, without the frames of chunks."""
        start = bytes(self._body[:BODY_LIMIT])
        if _CHUNKED.search(self._head):
            start = _without_frames(start)
        return start.decode("utf-8", "replace")

    def excerpt(self) -> str:
        """The start of the body on one printable line."""
        text = self.text()[: 4 * EXCERPT]
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"

    def _cut_head(self) -> bool:
        """Take one head off the front; True when it was an interim one (RFC 9110 §15.2)."""
        _refuse_foreign(self._body)
        end = _HEAD_END.search(self._body)
        if end is None:
            return False
        line = _STATUS_LINE.match(self._body)
        if line is None:
            raise NotHttp("sent something that is not HTTP/1.1")
        status, self._head = int(line[1]), bytes(self._body[: end.start()])
        del self._body[: end.end()]
        if 100 <= status < 200 and status != 101:
            return True
        self.status = status
        return False

    def _is_whole(self) -> bool:
        if self.status in _NO_BODY or len(self._body) >= BODY_LIMIT:
            return True
        if _CHUNKED.search(self._head):
            return _LAST_CHUNK.search(self._body) is not None
        length = _LENGTH.search(self._head)
        return length is not None and len(self._body) >= int(length[1])


def shortfall(answer: Answer, check: Check) -> str:
    """What the probe misses in an answer; empty when it passes."""
    # A redirect is an answer of a living server, and not followed: as in Kubernetes.
    if not any(first <= answer.status <= last for first, last in check.status):
        return f"answered {answer.status}"
    if check.body is not None and not _pattern(check.body).search(answer.text()):
        return f"answered {answer.status} without {_named(check.body)} in its body:"
    return ""


@lru_cache(maxsize=256)
def _pattern(body: str) -> re.Pattern[str]:
    return pattern(body)


def _named(body: str) -> str:
    shown = body if len(body) <= EXCERPT else body[: EXCERPT - 1] + "…"
    return f'"{shown}"'


def _without_frames(body: bytes) -> bytes:
    """The contents of chunks (RFC 9112 §7.1), as far as they have come."""
    pieces, at = [], 0
    while (frame := _CHUNK.match(body, at)) and (size := int(frame[1], 16)):
        pieces.append(body[frame.end() : frame.end() + size])
        at = frame.end() + size + 2
    return b"".join(pieces)


def _refuse_foreign(data: bytearray) -> None:
    """No need to wait for the end of a head that began wrong."""
    if not b"HTTP/1.".startswith(bytes(data[:7])):
        raise NotHttp("sent something that is not HTTP/1.1")
