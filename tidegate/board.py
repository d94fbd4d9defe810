"""Memory that the control process and all gateway processes see: who waits, who holds what, and
how much there is of what is limited.

One row for each gateway process, and only that process writes to it (the control process clears it
once it is dead). A row has a word for each line, the stamp of the longest waiting request, and a
word for each share: a sequence number above, the number of tokens held below. The sequence number
is odd while a token is on its way, so that a reader knows what it can rely on. The rest are plain
counts: requests that wait, by line; connections; requests that wait, of all lines; and a table of
connections by the client's address.

Behind the rows is what the control process alone writes: a word for each share that is closed.
"""

import mmap
import os
from typing import Self

LINES = 1 << 18  # services that there ever were
SHARES = 1 << 18  # replicas with a limit at the same time
CLIENTS = 1 << 16  # words of a table
_PAGE = mmap.PAGESIZE // 8
_QUEUES = LINES + SHARES
_CLIENTS = _QUEUES + LINES
_CONNECTIONS = _CLIENTS + CLIENTS
_ROW = _CONNECTIONS + _PAGE
_KEY = 32  # bytes, behind the rows
_HELD = (1 << 32) - 1
STEP = 1 << 32
WORD = (1 << 64) - 1


class Board:
    """Pages that nobody wrote to take no memory."""

    def __init__(self, descriptor: int, rows: int) -> None:
        self.descriptor = descriptor
        self.rows = rows
        self._memory = mmap.mmap(descriptor, _size(rows))
        self.words = memoryview(self._memory).cast("Q")
        begin = rows * _ROW * 8
        self.key = self._memory[begin : begin + _KEY]  # of what is hashed

    @classmethod
    def create(cls, rows: int) -> Self:
        descriptor = os.memfd_create("tidegate-board")
        os.ftruncate(descriptor, _size(rows))
        os.pwrite(descriptor, os.urandom(_KEY), rows * _ROW * 8)
        return cls(descriptor, rows)

    def line(self, row: int, number: int) -> int:
        """Where the word of a line is."""
        return row * _ROW + number

    def share(self, row: int, number: int) -> int:
        """Where the word of a share is."""
        return row * _ROW + LINES + number

    def closed(self, number: int) -> int:
        """Where it says that a share is closed: nothing may be taken from it now."""
        return self.rows * _ROW + _PAGE + number

    def queue(self, row: int, number: int) -> int:
        """Where the count of those is who wait in a line."""
        return row * _ROW + _QUEUES + number

    def clients(self, row: int) -> int:
        """Where the table of clients' addresses begins."""
        return row * _ROW + _CLIENTS

    def connections(self, row: int) -> int:
        return row * _ROW + _CONNECTIONS

    def held(self, row: int) -> int:
        """Beside the count of connections, on a page of their own."""
        return row * _ROW + _CONNECTIONS + 1

    def clear(self, row: int) -> None:
        """All of it, and its memory is given back."""
        self._memory.madvise(mmap.MADV_REMOVE, row * _ROW * 8, _ROW * 8)

    def close(self) -> None:
        self.words.release()
        self._memory.close()
        os.close(self.descriptor)


def _size(rows: int) -> int:
    return (rows * _ROW + _PAGE + SHARES) * 8


def held(word: int) -> int:
    return word & _HELD


def is_settled(word: int) -> bool:
    """Whether no token is on its way."""
    return not word & STEP
