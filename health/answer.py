"""What a replica answered to an HTTP probe, from the bytes seen so far.

Pure. Just enough of HTTP/1.1 (RFC 9112) to know the status and where the answer ends: a probe
judges by status alone and reads at most 4 KiB of a body.
"""

import re
from dataclasses import dataclass, field

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 4 * 1024
EXCERPT = 80

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,18})[ \t]*\r?$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:[^\r\n]*\bchunked[ \t]*\r?$")
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

    @property
    def passed(self) -> bool:
        # A redirect is an answer of a living server, and not followed: as in Kubernetes.
        return 200 <= self.status < 400

    def excerpt(self) -> str:
        """The start of the body on one printable line, empty for an encoded one."""
        if _CHUNKED.search(self._head):
            return ""
        text = bytes(self._body[: 4 * EXCERPT]).decode("utf-8", "replace")
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


def _refuse_foreign(data: bytearray) -> None:
    """No need to wait for the end of a head that began wrong."""
    if not b"HTTP/1.".startswith(bytes(data[:7])):
        raise NotHttp("sent something that is not HTTP/1.1")
