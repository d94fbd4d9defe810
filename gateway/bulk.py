"""Small reads for long bodies, so that memory per connection is bounded whatever the body.

A plain protocol is handed up to 256 KiB at a time; a peer that does not read on would leave all of
it in memory. A connection with a long body therefore reads through one buffer of the gateway,
64 KiB at most. That costs a copy and more system calls, so short messages are spared it, and all
are while there are few clients.
"""

import asyncio
from typing import Protocol

_FEW = 64
LONG = 64 * 1024
HIGH_WATER = 32 * 1024  # of bytes that wait to be written; above it we read no more


class Reader(Protocol):
    """The protocol that the reads are meant for."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, error: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class BulkReader(asyncio.BufferedProtocol):
    """Stands before a protocol for the rest of its connection."""

    __slots__ = ("_reader", "_view")

    def __init__(self, reader: Reader, view: memoryview) -> None:
        self._reader = reader
        self._view = view

    def get_buffer(self, sizehint: int) -> memoryview:
        # Shared by all: what is read is copied out before the loop reads again.
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self._reader.data_received(bytes(self._view[:nbytes]))

    def eof_received(self) -> bool | None:
        return self._reader.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.connection_lost(exc)

    def pause_writing(self) -> None:
        self._reader.pause_writing()

    def resume_writing(self) -> None:
        self._reader.resume_writing()


def is_worth_it(length: int, clients: int) -> bool:
    """For a body of this length (negative: unknown) with so many clients connected."""
    return clients > _FEW and (length < 0 or length > LONG)
