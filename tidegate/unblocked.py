"""A log that never holds anybody up: lines go out while somebody takes them.

A pipe that nobody reads would stop the process that writes to it, and with it every request; a disk
that is full, or a reader that went away, would make each line an error. Here lines wait, up to a
limit; what is beyond it, or cannot be written, is lost and counted, and the next line that gets
through says how many.
"""

import errno
import logging
import os
import select
from collections import deque

# A pipe that is ready takes so many bytes without waiting (POSIX: PIPE_BUF, at least 512).
_PIECE = select.PIPE_BUF
_MOST_WAITING = 1 << 20  # bytes


class UnblockedStream(logging.Handler):
    """Writes to a descriptor, which stays the caller's and blocking."""

    def __init__(self, descriptor: int, most_waiting: int = _MOST_WAITING) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[bytes, int]] = deque()  # with how many lines its loss loses
        self._size = 0
        self._lost = 0
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._line(record)
        except Exception:  # as logging itself does: a bad record is no reason to fail
            self.handleError(record)
            return
        self._take(line)
        self.flush()

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode(errors="backslashreplace") + b"\n"

    def flush(self) -> None:
        """As much as is taken now."""
        self.acquire()
        try:
            while self._waiting and self._has_room() and self._write(*self._waiting.popleft()):
                pass
        finally:
            self.release()

    def _take(self, line: bytes) -> None:
        if self._size + len(line) > self._most_waiting:
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self._add(self._line(_told(lost)), lost)
        self._add(line, 1)

    def _add(self, line: bytes, lines: int) -> None:
        self._size += len(line)
        for start in range(0, len(line), _PIECE):
            is_last = start + _PIECE >= len(line)
            self._waiting.append((line[start : start + _PIECE], lines if is_last else 0))

    def _has_room(self) -> bool:
        # Also POLLERR and POLLHUP: then the write says what is wrong, and does not wait.
        return bool(self._poll.poll(0))

    def _write(self, piece: bytes, lines: int) -> bool:
        """Whether there is any use in going on."""
        self._size -= len(piece)
        try:
            written = os.write(self._descriptor, piece)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # a full disk (ENOSPC), no reader any more (EPIPE)
                self._lost += lines
                return True
            written = 0
        if written < len(piece):
            self._waiting.appendleft((piece[written:], lines))
            self._size += len(piece) - written
        return written > 0


def _told(lost: int) -> logging.LogRecord:
    """Like any other line: a reader may take each for JSON."""
    text = "%d lines of the log were lost: nobody took them"
    return logging.LogRecord("tidegate.log", logging.WARNING, "", 0, text, (lost,), None)
