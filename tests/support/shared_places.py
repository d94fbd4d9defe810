"""Gateway processes that share a replica's places: real eventfds and real shared memory.

The processes are Shares objects of this one.
"""

import asyncio
import contextlib
import os

from cluster.messages import Endpoint, EndpointSnapshot
from cluster.model import Address
from gateway.peers import JUST_CAME
from tidegate.shares import Line, Share, Shares
from tidegate.sharing import Shared, Sharing

KEY = ("web", "web-1")
SNAPSHOT = EndpointSnapshot("web", 1, (Endpoint("web-1", Address("127.0.0.1", 80)),))


class World:
    """A control process and some gateway processes that share one replica."""

    def __init__(self, processes: int, limit: int) -> None:
        self.control = Sharing(processes)
        self.control.configure({"web": limit, "other": 0})
        ((_, self.shared),) = self.control.meet([SNAPSHOT])
        self.admitted: list[int] = []
        self.processes = [self.process(row) for row in range(processes)]

    def process(self, row: int) -> Shares:
        control = self.control
        made = Shares(
            control.board,
            row,
            control.bells,
            lambda _: self.admitted.append(row),
            lambda number: control.joined(row, number),
        )
        made.configure(control.lines_in_use(), control.limits)
        made.open(*KEY, self.shared.number)
        made.arrived(self.shared.number, self.shared.descriptor)
        return made

    def line(self, row: int) -> Line:
        line = self.processes[row].peers("web")
        assert line is not None
        return line

    def share(self, row: int) -> Share:
        return self.line(row).tokens("web-1")

    def rung(self) -> list[int]:
        """The processes whose bells rang since the last look."""
        found = []
        for row, bell in enumerate(self.control.bells):
            try:
                os.eventfd_read(bell)
                found.append(row)
            except BlockingIOError:
                pass
        return found

    def takes(self, *rows: int) -> list[bool]:
        return [self.share(row).take(JUST_CAME) for row in rows]


def free(shared: Shared) -> int:
    count = 0
    with contextlib.suppress(BlockingIOError):
        while os.eventfd_read(shared.descriptor):
            count += 1
    os.eventfd_write(shared.descriptor, count)
    return count


async def collected(world: World) -> None:
    async with asyncio.timeout(30):
        while world.shared.owed:  # noqa: ASYNC110
            await asyncio.sleep(0)
