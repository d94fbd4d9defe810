"""The connection between the control process and one gateway process: messages both ways."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Self

from cluster.wire import Malformed, Message, decode, encode

# A configuration of ten thousand services is one line.
_LONGEST = 256 * 2**20


class Link:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LONGEST))

    def send(self, message: Message) -> None:
        """In order, without waiting. Lost when the other side is gone: it needs it no more."""
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    async def messages(
        self, strange: Callable[[Malformed], None] | None = None
    ) -> AsyncIterator[Message]:
        """Until the other side is gone. Raises Malformed, unless `strange` is to be told: then what
        is not understood is passed over."""
        try:
            while line := await self._reader.readline():
                try:
                    message = decode(line)
                except Malformed as error:
                    if strange is None:
                        raise
                    strange(error)
                    continue
                yield message
        except ConnectionError:
            return

    def close(self) -> None:
        self._writer.close()
