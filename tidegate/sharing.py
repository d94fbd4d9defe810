"""Limits that hold over all gateway processes, seen from the control process.

It makes the tokens of each replica and passes them on, and it sees to it that there are as many as
the limit says: when a process died with some in its hands, and when the limit changes. While it
counts, and while more are in use than a limit that fell, the share is closed: nothing is taken from
it. Otherwise it never stands in the way of a request.
"""

import asyncio
import heapq
import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.messages import EndpointSnapshot
from tidegate.board import Board, held, is_settled

AGAIN = 0.001  # seconds until a look at tokens that were on their way
_ATTEMPTS = 20

Key = tuple[str, str]


@dataclass(slots=True, eq=False)
class Shared:
    """The tokens of one replica: `limit` of them, here or in the hands of the processes."""

    number: int
    descriptor: int
    limit: int
    owed: int = 0  # to be taken away as they come back, because the limit fell


class Sharing:
    """The tokens of all replicas of services with a limit, for `count` processes."""

    def __init__(self, count: int) -> None:
        self.board = Board.create(count)
        flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
        self.bells = [os.eventfd(0, flags) for _ in range(count)]
        self.lines: dict[str, int] = {}
        self.limits: dict[str, int] = {}
        self._present: Mapping[str, int] = {}
        self._all: dict[Key, Shared] = {}
        self._numbered: dict[int, Shared] = {}
        self._free: list[int] = []
        self._fresh = itertools.count()
        self._counting: dict[Shared, asyncio.TimerHandle] = {}
        self._joining: dict[Shared, set[int]] = {}

    def configure(self, limits: Mapping[str, int]) -> list[tuple[Key, int]]:
        """By service, 0 is none. Returns what is shared no more."""
        self._present = limits
        self.limits = {service: limit for service, limit in limits.items() if limit}
        for service in limits:
            self.lines.setdefault(service, len(self.lines))
        for (service, _), shared in self._all.items():
            if (limit := self.limits.get(service, shared.limit)) != shared.limit:
                shared.limit = limit
                self._count(shared)
        return [
            (key, number)
            for key in list(self._all)
            if key[0] not in self.limits and (number := self.forget(key)) is not None
        ]

    def lines_in_use(self) -> dict[str, int]:
        """The number of each service that there is."""
        return {service: self.lines[service] for service in self._present}

    def meet(
        self, snapshots: Iterable[EndpointSnapshot], busy: Iterable[int] = ()
    ) -> list[tuple[Key, Shared]]:
        """Tokens for those that have none yet; returns the new ones.

        In the processes `busy` requests may be in flight there that had no limit: the tokens are
        not given out before each of them has joined, or died.
        """
        new = []
        for snapshot in snapshots:
            limit = self.limits.get(snapshot.service)
            for endpoint in snapshot.endpoints if limit else ():
                key = snapshot.service, endpoint.replica
                if limit and key not in self._all:
                    shared = self._all[key] = self._made(limit, 0 if (rows := set(busy)) else limit)
                    if rows:
                        self._joining[shared] = rows
                    new.append((key, shared))
        return new

    def everything(self) -> list[tuple[Key, Shared]]:
        return list(self._all.items())

    def joined(self, row: int, number: int) -> None:
        """What is in flight in a process has its tokens."""
        if (shared := self._numbered.get(number)) is not None:
            self._has_joined(row, shared)

    def _has_joined(self, row: int, shared: Shared) -> None:
        rows = self._joining.get(shared, set())
        rows.discard(row)
        if not rows:
            self._joining.pop(shared, None)
            self._count(shared)

    def forget(self, key: Key) -> int | None:
        """No process has anything of the replica any more; the number that was its."""
        shared = self._all.pop(key, None)
        if shared is None:
            return None
        self._joining.pop(shared, None)
        self._stop_counting(shared)
        self.board.words[self.board.closed(shared.number)] = 0  # for whoever has its number next
        os.close(shared.descriptor)
        shared.descriptor = -1
        del self._numbered[shared.number]
        heapq.heappush(self._free, shared.number)
        return shared.number

    def bury(self, row: int) -> None:
        """A process is dead: what it held goes back, nobody waits behind it, and nothing that it
        had counts any more."""
        words, board = self.board.words, self.board
        left = [
            shared
            for shared in self._all.values()
            if held(word := words[board.share(row, shared.number)])
            or not is_settled(word)
            or row in self._joining.get(shared, ())
        ]
        board.clear(row)
        for shared in left:
            self._has_joined(row, shared)
        self._ring()

    def close(self) -> None:
        for key in list(self._all):
            self.forget(key)
        for bell in self.bells:
            os.close(bell)
        self.board.close()

    def _made(self, limit: int, free: int) -> Shared:
        number = heapq.heappop(self._free) if self._free else next(self._fresh)
        flags = os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC
        made = self._numbered[number] = Shared(number, os.eventfd(free, flags), limit)
        return made

    # Counting anew

    def _count(self, shared: Shared) -> None:
        """Make the tokens as many as the limit, whatever was lost.

        It is closed and what is free is taken in, so that nothing more can be taken; if no word
        changes meanwhile, free and held are what there is, and the rest is missing. Otherwise it is
        put back and tried again.
        """
        if shared in self._joining:
            return
        self._stop_counting(shared)
        self._close(shared, closed=True)
        for _ in range(_ATTEMPTS):
            before = self._held_words(shared)
            free = _take_all(shared.descriptor)
            if all(map(is_settled, before)) and before == self._held_words(shared):
                self._settle(shared, sum(map(held, before)))
                return
            _put(shared.descriptor, free)
        loop = asyncio.get_running_loop()
        self._counting[shared] = loop.call_later(AGAIN, self._count, shared)

    def _settle(self, shared: Shared, in_use: int) -> None:
        """None is free now, and so many are held."""
        _put(shared.descriptor, shared.limit - in_use)
        shared.owed = max(0, in_use - shared.limit)
        if shared.owed:
            asyncio.get_running_loop().add_reader(shared.descriptor, self._collect, shared)
        else:
            self._close(shared, closed=False)

    def _collect(self, shared: Shared) -> None:
        """One came back that is too many."""
        try:
            os.eventfd_read(shared.descriptor)
        except BlockingIOError:
            return
        shared.owed -= 1
        if not shared.owed:
            asyncio.get_running_loop().remove_reader(shared.descriptor)
            self._close(shared, closed=False)

    def _close(self, shared: Shared, *, closed: bool) -> None:
        """Who finds it closed waits until a bell rings."""
        self.board.words[self.board.closed(shared.number)] = closed
        if not closed:
            self._ring()

    def _stop_counting(self, shared: Shared) -> None:
        if (timer := self._counting.pop(shared, None)) is not None:
            timer.cancel()
        if shared.owed:
            shared.owed = 0
            asyncio.get_running_loop().remove_reader(shared.descriptor)

    def _held_words(self, shared: Shared) -> list[int]:
        board = self.board
        return [board.words[board.share(row, shared.number)] for row in range(board.rows)]

    def _ring(self) -> None:
        for bell in self.bells:
            os.eventfd_write(bell, 1)


def _take_all(descriptor: int) -> int:
    count = 0
    while True:
        try:
            count += os.eventfd_read(descriptor)
        except BlockingIOError:
            return count


def _put(descriptor: int, count: int) -> None:
    if count > 0:
        os.eventfd_write(descriptor, count)
