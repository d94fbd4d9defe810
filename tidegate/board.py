"""Memory that the control process and all gateway processes see: who waits, who holds what.

One row for each gateway process, and only that process writes to it (the control process clears it
once it is dead). A row has a word for each line, the stamp of the longest waiting request, and a
word for each share: a sequence number above, the number of tokens held below. The sequence number
is odd while a token is on its way, so that a reader knows what it can rely on.
"""

import mmap
import os
from typing import Self

LINES = 1 << 18  # services that ever had a limit
SHARES = 1 << 18  # replicas with a limit at the same time
_ROW = LINES + SHARES
_HELD = (1 << 32) - 1
STEP = 1 << 32
WORD = (1 << 64) - 1


class Board:
    """Pages that nobody wrote to take no memory."""

    def __init__(self, descriptor: int, rows: int) -> None:
        self.descriptor = descriptor
        self.rows = rows
        self._memory = mmap.mmap(descriptor, rows * _ROW * 8)
        self.words = memoryview(self._memory).cast("Q")

    @classmethod
    def create(cls, rows: int) -> Self:
        descriptor = os.memfd_create("tidegate-board")
        os.ftruncate(descriptor, rows * _ROW * 8)
        return cls(descriptor, rows)

    def line(self, row: int, number: int) -> int:
        """Where the word of a line is."""
        return row * _ROW + number

    def share(self, row: int, number: int) -> int:
        """Where the word of a share is."""
        return row * _ROW + LINES + number

    def close(self) -> None:
        self.words.release()
        self._memory.close()
        os.close(self.descriptor)


def held(word: int) -> int:
    return word & _HELD


def is_settled(word: int) -> bool:
    """Whether no token is on its way."""
    return not word & STEP
