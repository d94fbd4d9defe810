"""Where a body ends, while its bytes pass through as they came.

Pure. A follower is fed what was read and returns what may be passed on. `done` says that the body
is complete; `rest` then holds the bytes that follow it. Before, `rest` is what it has not looked at
yet, to be fed anew: a read of 256 KiB may have 40,000 chunks, and others wait for their turn.
`size` counts the content. Sources: RFC 9112 §6 and §7.
"""

from typing import Protocol

from gateway import grammar

CHUNKED = -1
UNTIL_CLOSE = -2

_MAX_CHUNK_LINE = 4096
_MAX_EXTENSIONS = 16 * 1024
_MAX_TRAILERS = 16 * 1024
_MOST_LINES = 128  # of chunks in one turn: about 0.1 ms


class BadFraming(Exception):
    """The body breaks the rules of its framing; nothing of the bad part was passed on."""


class Follower(Protocol):
    """Follows one body."""

    done: bool
    rest: bytes
    size: int

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass on. Raises BadFraming."""


class Counted:
    """A body of known length (RFC 9112 §6.2)."""

    __slots__ = ("_left", "done", "rest", "size")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            self.size += len(data)
            return data
        self.done = True
        self.size += left
        self._left = 0
        if len(data) == left:
            return data
        self.rest = data[left:]
        return data[:left]


class UntilClose:
    """A response that ends with its connection (RFC 9112 §6.3 rule 8), or a tunnel."""

    __slots__ = ("done", "rest", "size")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        self.size += len(data)
        return data


class Rechunked:
    """Such a response for a client of HTTP/1.1, so that a cut stays visible (RFC 9112 §8)."""

    __slots__ = ("done", "rest", "size")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        self.size += len(data)
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class Chunked:
    """A chunked body (RFC 9112 §7.1), passed on as it came, or as bare content with `bare`.

    A chunk line or trailer section that is cut by the end of a read is held back until it is
    whole and found valid.
    """

    __slots__ = (
        "_bare",
        "_extensions",
        "_first",
        "_held",
        "_last",
        "_left",
        "_scanned",
        "done",
        "rest",
        "size",
    )

    def __init__(self, *, bare: bool = False) -> None:
        self._bare = bare
        self._left = 0
        self._first = True
        self._last = False
        self._held = b""
        self._extensions = 0
        self._scanned = 0
        self.done = False
        self.rest = b""
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        if self._held:
            data = self._held + data
            if not self._last:
                if self._goes_on(data):
                    self._held = data
                    return b""
                self._scanned = 0
            self._held = b""
        content: list[bytes] = []
        at = lines = 0
        while at < len(data) and not self.done and lines < _MOST_LINES:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                self.size += step
                if self._bare:
                    content.append(data[at : at + step])
                at += step
            elif self._last:
                at = self._trailers(data, at)
            else:
                at = self._chunk_line(data, at)
                lines += 1
            if self._held:
                break
        self.rest = b"" if self._held else data[at:]
        if self._bare:
            return b"".join(content)
        return data if at == len(data) else data[:at]

    def _goes_on(self, data: bytes) -> bool:
        """Whether a line that is held only got longer. Not matched anew with each drip of it."""
        start, self._scanned = self._scanned, len(data)
        if data.startswith(b"\r") or len(data) > _MAX_CHUNK_LINE:
            return False
        return not grammar.ENDS_CHUNK_LINE.search(data, start - 1)

    def _chunk_line(self, data: bytes, at: int) -> int:
        match = (grammar.FIRST_CHUNK if self._first else grammar.NEXT_CHUNK).match(data, at)
        if match is None:
            return self._hold_line(data, at)
        self._extensions += len(match[2])
        if self._extensions > _MAX_EXTENSIONS or len(match[2]) > _MAX_CHUNK_LINE:
            raise BadFraming("too many chunk extensions")
        self._first = False
        self._left = int(match[1], 16)
        self._last = not self._left
        return match.end()

    def _hold_line(self, data: bytes, at: int) -> int:
        if not self._first and data.startswith(b"\r\n", at):
            # The end of a chunk passes at once: a reader may wait for it, as for an event.
            self._first = True
            at += 2
        begun = grammar.FIRST_CHUNK_BEGUN if self._first else grammar.NEXT_CHUNK_BEGUN
        if len(data) - at > _MAX_CHUNK_LINE or not begun.fullmatch(data, at):
            raise BadFraming("invalid chunk size")
        self._held = data[at:]
        self._scanned = len(self._held)
        return at

    def _trailers(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            end = at + 2
        elif (found := data.find(b"\r\n\r\n", max(at, at + self._scanned - 3))) >= 0:
            end = found + 4
        elif len(data) - at > _MAX_TRAILERS or grammar.is_spoilt(
            data, max(at, at + self._scanned - 1)
        ):
            raise BadFraming("invalid trailer section")
        else:
            self._held = data[at:]
            self._scanned = len(self._held)
            return at
        if end - at > _MAX_TRAILERS or not grammar.TRAILERS.fullmatch(data, at, end):
            raise BadFraming("invalid trailer section")
        if grammar.FORBIDDEN_TRAILER.search(data[at:end]):
            raise BadFraming("a trailer field that may not be one")
        self.done = True
        return end


def follower(length: int) -> Follower:
    """For a body of `length` bytes, or CHUNKED or UNTIL_CLOSE."""
    if length >= 0:
        return Counted(length)
    return Chunked() if length == CHUNKED else UntilClose()
