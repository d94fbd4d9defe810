"""Where the frames of a WebSocket end, while its bytes pass through as they came (RFC 6455 §5.2).

Pure. One for each direction of a tunnel. A control frame may stand between any two frames, also in
the middle of a fragmented message (§5.4), so a Close can be said at the next end of a frame; after
it nothing may be sent in that direction (§5.5.1). What is no frame is passed on and not followed.
"""

import struct

CLOSE = 8
GOING_AWAY = 1001  # §7.4.1: a server going down, or a page being left
_MOST_HEAD = 10  # without the mask
_RESERVED = frozenset((*range(3, 8), *range(11, 16)))
_UINT16, _UINT64 = struct.Struct("!H"), struct.Struct("!Q")


def close_frame(code: int, reason: bytes, mask: bytes = b"") -> bytes:
    """`mask`: four bytes; a client's frames have one, a server's have none (§5.1)."""
    payload = code.to_bytes(2, "big") + reason
    if not mask:
        return bytes((0x80 | CLOSE, len(payload))) + payload
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((0x80 | CLOSE, 0x80 | len(payload))) + mask + masked


class Frames:
    """A gateway.framing.Follower. `has_closed`: its sender has said Close itself."""

    __slots__ = ("_farewell", "_head", "_is_lost", "_left", "done", "has_closed", "is_over", "rest",
                 "size")  # fmt: skip

    def __init__(self) -> None:
        self._left = 0  # of the present frame
        self._head = b""  # of the next one, passed on but not yet understood
        self._farewell = b""
        self._is_lost = False
        self.done = False
        self.rest = b""
        self.size = 0
        self.has_closed = False
        self.is_over = False  # a Close of ours was the last

    def feed(self, data: bytes) -> bytes:
        self.size += len(data)
        if self.is_over:
            return b""
        if self._is_lost:
            return data
        if len(data) < self._left:
            self._left -= len(data)
            return data
        return self._follow(data)

    def end_with(self, frame: bytes) -> bytes:
        """Let it be the last frame of this direction. What is returned is to be written now; with
        nothing, it follows at the end of the present frame, if it can be said at all."""
        if self.is_over or self.has_closed or self._is_lost:
            return b""
        if self._left or self._head:
            self._farewell = frame
            return b""
        self.is_over = True
        return frame

    def _follow(self, data: bytes) -> bytes:
        at, size = self._left, len(data)
        while True:
            if self._farewell and not self._head:
                self.is_over = True
                return data[:at] + self._farewell
            if at == size:
                self._left = 0
                return data
            head = self._head + data[at : at + _MOST_HEAD]
            length = self._length(head)
            if self._is_lost:
                return data
            if not length:
                self._head, self._left = head, 0
                return data
            at += length - len(self._head)
            self._head = b""
            if at > size:
                self._left = at - size
                return data

    def _length(self, head: bytes) -> int:
        """Of the whole frame that begins so; 0 when that cannot be said yet."""
        opcode = head[0] & 0x0F
        if opcode in _RESERVED:
            self._give_up()
        if len(head) < 2:
            return 0
        size, before = head[1] & 0x7F, 6 if head[1] & 0x80 else 2
        if size == 126:
            before += 2
            size = _UINT16.unpack_from(head, 2)[0] if len(head) >= 4 else -1
        elif size == 127:
            before += 8
            size = _UINT64.unpack_from(head, 2)[0] if len(head) >= 10 else -1
        if size < 0:
            return 0
        if opcode == CLOSE:
            self.has_closed = True
            self._farewell = b""
        return before + size

    def _give_up(self) -> None:
        self._is_lost = True
        self._farewell = b""
