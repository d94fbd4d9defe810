"""Frames of RFC 6455, enough to talk and to see what arrived."""

import asyncio
import base64
import hashlib
import struct
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION = 0
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ASK = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
)
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes
    final: bool = True
    masked: bool = False

    def encode(self) -> bytes:
        size = len(self.payload)
        first = (0x80 if self.final else 0) | self.opcode
        mask = 0x80 if self.masked else 0
        if size < 126:
            head = bytes([first, mask | size])
        elif size < 1 << 16:
            head = struct.pack("!BBH", first, mask | 126, size)
        else:
            head = struct.pack("!BBQ", first, mask | 127, size)
        if not self.masked:
            return head + self.payload
        return head + _MASK + _mask(self.payload)


_MASK = b"\x01\x80\x00\xff"


def _mask(payload: bytes) -> bytes:
    pad = (_MASK * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return mixed.to_bytes(len(payload), "big")


def accept(key: str) -> bytes:
    """The answer to a key (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest())


def switching(key: str) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept(key) + b"\r\n\r\n"
    )


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """The next frame, unmasked. Raises IncompleteReadError at the end."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", await reader.readexactly(8))
    masked = bool(second & 0x80)
    if masked:
        assert await reader.readexactly(4) == _MASK
    payload = await reader.readexactly(size)
    return Frame(first & 0x0F, _mask(payload) if masked else payload, bool(first & 0x80), masked)
