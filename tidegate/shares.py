"""Limits that hold over all gateway processes, seen from one of them.

The places of a replica are the count of an eventfd in semaphore mode: a read takes one, a write
gives it back, and neither waits. Who finds none publishes since when it waits and sleeps until its
bell rings. Who gives one back rings for the one that has waited longest, and who sees that somebody
waits longer hands on what it took: the order of arrival holds over all processes. The same does who
finds the share closed: more is in use than the limit is now.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Mapping

from tidegate.board import STEP, WORD, Board
from tidegate.counts import Clients, Count


class Shares:
    """Implements gateway.peers.Everyone. `admit` is told the service that may go on, `joined` the
    number of a share once all that is in flight here holds a place of it."""

    def __init__(
        self,
        board: Board,
        row: int,
        bells: list[int],
        admit: Callable[[str], None],
        joined: Callable[[int], None],
    ) -> None:
        self.board = board
        self.row = row
        self.bells = bells
        self._admit = admit
        self._joined = joined
        self.connections = Count(board, row, [board.connections(one) for one in range(board.rows)])
        self.held = Count(board, row, [board.held(one) for one in range(board.rows)])
        self.clients = Clients(board, row)
        self.processes = board.rows
        self._lines: dict[str, Line] = {}
        self._numbers: Mapping[str, int] = {}
        self._expected: dict[int, Share] = {}
        self._asked: set[int] = set()
        self._arrived: dict[int, int] = {}
        self.waiting: dict[Line, None] = {}
        self.is_alone = False  # nobody opens a share that was closed
        self.is_final = False  # no share is opened any more

    def peers(self, service: str) -> "Line | None":
        return self._lines.get(service)

    def queue(self, service: str) -> Count:
        number, board = self._numbers[service], self.board
        return Count(board, self.row, [board.queue(row, number) for row in range(board.rows)])

    def configure(self, lines: Mapping[str, int], limited: Iterable[str]) -> None:
        """The number of each service's line, and those whose replicas have a limit."""
        self._numbers = lines
        self._lines = {
            name: self._lines.get(name) or Line(self, name, lines[name]) for name in limited
        }

    def open(self, service: str, replica: str, number: int, *, ask: bool = False) -> None:
        """The replica's places are that share; its descriptor comes by another way."""
        line = self._lines.get(service)
        if line is None:
            return
        if ask:
            self._asked.add(number)
        self._expected[number] = line.tokens(replica)
        self._join(number)

    def close(self, service: str, replica: str, number: int) -> None:
        self._asked.discard(number)
        share = self._expected.pop(number, None)
        if share is not None:
            share.close()
            if share.line.shares.get(replica) is share:
                del share.line.shares[replica]
        if (descriptor := self._arrived.pop(number, None)) is not None:
            os.close(descriptor)

    def go_on(self) -> None:
        """Whoever makes shares is gone, for now at least: what it closed is open."""
        self.is_alone = True
        for line in list(self.waiting):
            self._admit(line.service)

    def finish(self) -> None:
        """Whoever makes shares has left. What was opened stays shared; a replica that has no share
        by now never gets one, so that its places are counted here alone."""
        self.is_final = True
        self.go_on()

    def arrived(self, number: int, descriptor: int) -> None:
        if self.is_final:
            # Requests may be there already that have no place of it.
            os.close(descriptor)
            return
        self._arrived[number] = descriptor
        self._join(number)

    def _join(self, number: int) -> None:
        if number in self._expected and number in self._arrived:
            share = self._expected[number]
            adopted = share.open(number, self._arrived[number])
            if adopted or number in self._asked:
                self._asked.discard(number)
                self._joined(number)
            self._admit(share.line.service)

    def listen(self, loop: asyncio.AbstractEventLoop, descriptors: socket.socket) -> None:
        """To the bell, and for descriptors."""
        descriptors.setblocking(False)
        loop.add_reader(self.bells[self.row], self._rung)
        loop.add_reader(descriptors, self._receive, loop, descriptors)

    def _rung(self) -> None:
        os.eventfd_read(self.bells[self.row])
        for line in list(self.waiting):
            self._admit(line.service)

    def _receive(self, loop: asyncio.AbstractEventLoop, descriptors: socket.socket) -> None:
        try:
            number, passed, _, _ = socket.recv_fds(descriptors, 8, 1)
        except BlockingIOError:
            return
        except OSError:
            number = b""
        if not number:
            loop.remove_reader(descriptors)
            return
        for descriptor in passed:
            self.arrived(int.from_bytes(number, "little"), descriptor)


class Line:
    """Implements gateway.peers.Peers."""

    __slots__ = ("_cells", "_since", "_words", "all", "service", "shares")

    def __init__(self, everyone: Shares, service: str, number: int) -> None:
        board = everyone.board
        self.all = everyone
        self.service = service
        self.shares: dict[str, Share] = {}
        self._words = board.words
        self._cells = [board.line(row, number) for row in range(board.rows)]
        self._since = 0

    def tokens(self, replica: str) -> "Share":
        if (share := self.shares.get(replica)) is None:
            share = self.shares[replica] = Share(self)
        return share

    def stamp(self) -> int:
        """Microseconds of the loop's clock, which is the same in all processes."""
        return int(asyncio.get_running_loop().time() * 1_000_000)

    def waiting(self, since: int) -> None:
        if since == self._since:
            return
        self._since = self._words[self._cells[self.all.row]] = since
        if since:
            self.all.waiting[self] = None
        else:
            del self.all.waiting[self]
            # What it was told of, or left over, is the next one's.
            self.ring()

    def elder(self, since: int) -> int:
        """The process in which somebody has waited longest, and longer than `since`; or -1."""
        longest, found, words, own = since, -1, self._words, self.all.row
        for row, cell in enumerate(self._cells):
            other = words[cell]
            if row == own or not other:
                continue
            # Equal stamps: the first process goes first.
            if not longest or other < longest or (other == longest and found < 0 and row < own):
                longest, found = other, row
        return found

    def ring(self) -> None:
        """For the one that has waited longest, unless that is here."""
        elder = self.elder(self._since)
        if elder >= 0:
            os.eventfd_write(self.all.bells[elder], 1)


class Share:
    """Implements gateway.peers.Tokens: the places of one replica, as far as they are ours."""

    __slots__ = ("_adopted", "_at", "_closed_at", "_descriptor", "_words", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self._words = line.all.board.words
        self._at = self._closed_at = -1
        self._descriptor = -1
        self._adopted = 0  # what has a place already, until the share is open

    def open(self, number: int, descriptor: int) -> int:
        """Returns how many hold a place of it from now on that nobody gave them."""
        board, row = self.line.all.board, self.line.all.row
        at = self._at = board.share(row, number)
        self._closed_at, self._descriptor = board.closed(number), descriptor
        adopted, self._adopted = self._adopted, 0
        if adopted:
            words = self._words
            words[at] = words[at] + STEP + STEP + adopted & WORD
        return adopted

    def close(self) -> None:
        self._at = self._descriptor = -1

    def take(self, since: int) -> bool:
        if self._descriptor < 0:
            return self.line.all.is_final
        words, at = self._words, self._at
        before = words[at]
        words[at] = before + STEP & WORD
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            words[at] = before
            return False
        words[at] = before + STEP + STEP + 1 & WORD
        # Looked at last: what is counted while it closes is either seen there or sees it here.
        if self.line.elder(since) >= 0 or (words[self._closed_at] and not self.line.all.is_alone):
            self.give()
            return False
        return True

    def adopt(self, count: int) -> None:
        """A share is made with the limit itself, so it is not open yet."""
        self._adopted += count

    def give(self) -> None:
        if self._descriptor < 0:
            self._adopted = max(0, self._adopted - 1)
            return
        words, at = self._words, self._at
        before = words[at]
        words[at] = before + STEP & WORD
        os.eventfd_write(self._descriptor, 1)
        words[at] = before + STEP + STEP - 1 & WORD
        self.line.ring()
