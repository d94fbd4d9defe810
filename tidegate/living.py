"""What the control process knows of one gateway process that lives.

A process that hangs does not close its link: it is asked once a second whether it is there, and
whatever it says is an answer. The silence is counted in questions and not in seconds, so that a
machine that stood still blames nobody.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Iterator

from cluster import wire
from cluster.messages import EndpointSnapshot, LoadReport
from gateway.stats import GatewayStats
from tidegate.descriptors import Passing
from tidegate.link import Link
from tidegate.sharing import Shared

log = logging.getLogger("tidegate.workers")

ASK_EVERY = 1.0
HUNG_AFTER = 5  # questions without an answer, so at the latest after a second more
HUNG_AT_START = 30  # the same while it has said nothing yet: it loads its code


class Living:
    """One gateway process, and what it told."""

    def __init__(self, link: Link, name: str, passing: Passing | None = None, row: int = 0) -> None:
        self.link = link
        self.name = name
        self.row = row
        self._passing = passing
        self.stats = GatewayStats(0.0, {}, {}, {})
        # With the version of the last snapshot that had the replica.
        self.holds: dict[tuple[str, str], int] = {}
        self.busy: dict[str, LoadReport] = {}
        self.failure: str | None = None  # why it could not begin
        self.is_empty = asyncio.Event()
        self._unanswered = 0
        self._patience = HUNG_AT_START
        self._tickets = 0
        self._counting: dict[int, asyncio.Event] = {}

    def apply(self, snapshot: EndpointSnapshot) -> None:
        for endpoint in snapshot.endpoints:
            self.holds[snapshot.service, endpoint.replica] = snapshot.version
        self.link.send(snapshot)

    def share(self, key: tuple[str, str], shared: Shared, *, ask: bool = False) -> None:
        self.link.send(wire.Share(*key, shared.number, ask))
        if self._passing is not None:
            self._passing.send(shared)

    def heard(self) -> None:
        """It said something."""
        self._unanswered, self._patience = 0, HUNG_AFTER

    async def hung(self) -> None:
        """Returns when it does not answer any more."""
        while self._unanswered < self._patience:
            self._unanswered += 1
            self.link.send(wire.Ping())
            await asyncio.sleep(ASK_EVERY)

    def note(self, report: LoadReport) -> None:
        """Remember what had traffic here, to end it if this process ends."""
        if report.is_silent:
            self.busy.pop(report.service, None)
        else:
            self.busy[report.service] = report

    def silenced(self) -> Iterator[LoadReport]:
        """Reports that end what it told: nothing is in flight there any more."""
        for report in self.busy.values():
            yield dataclasses.replace(
                report,
                span=0.0,
                busy_seconds=0.0,
                requests=0,
                rejected=0,
                in_flight=0,
                queued=0,
                pending=(),
                latencies=(),
                service_times=(),
                waits=(),
                served=(),
                recorded=None,
                silent=0,
            )

    async def drain(self, timeout: float, patience: float = 0.0) -> None:
        """Until it is empty, or gone."""
        self.is_empty.clear()
        self.link.send(wire.Drain(timeout, patience))
        await self.is_empty.wait()

    async def count(self, deadline: float) -> None:
        self._tickets += 1
        ticket = self._tickets
        self._counting[ticket] = asyncio.Event()
        self.link.send(wire.Count(ticket))
        try:
            async with asyncio.timeout(deadline):
                await self._counting[ticket].wait()
        except TimeoutError:
            log.warning("%s did not tell its counts in time; it is overloaded", self.name)
        finally:
            del self._counting[ticket]

    def counted(self, ticket: int, stats: GatewayStats) -> None:
        self.stats = stats
        if (waiting := self._counting.get(ticket)) is not None:
            waiting.set()

    def gone(self) -> None:
        """Nobody need wait for it any more."""
        self.is_empty.set()
        for waiting in self._counting.values():
            waiting.set()
