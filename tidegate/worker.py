"""A gateway process: the data path alone, told what to do by the control process.

When its link ends, the control process is gone. It goes on with what it was told last and waits for
the next control process to take over, for `--orphan-timeout` seconds, and leaves if none comes.
Signals that stop Tidegate reach the whole process group; only the control process obeys them, and
who has none.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import random
import signal
import socket
from pathlib import Path
from typing import assert_never

import uvloop

from cluster import descriptors, wire
from cluster.cgroup import Group
from cluster.messages import Drained, EndpointSnapshot, LoadReport, Outcome, Wake
from cluster.tasks import Tasks
from config.service import Service
from config.settings import Gateway as Settings
from gateway.gateway import Gateway, ListenError
from gateway.routed import routed
from tidegate import log as logs
from tidegate.board import Board
from tidegate.collector import Collector
from tidegate.link import Link
from tidegate.offer import Offer
from tidegate.shares import Shares

log = logging.getLogger("tidegate.worker")

_UNSEEN = 0.1  # seconds
LAST_DRAIN = 10.0  # seconds for what is under way, when nobody takes over


def main() -> None:
    arguments = _arguments()
    logs.configure(arguments.log_format, arguments.log_level)
    descriptors.raise_limit()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    uvloop.run(_serve(arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One gateway process; started by tidegate run.")
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--row", type=int, default=0)
    parser.add_argument("--board", type=int, default=-1)
    parser.add_argument("--descriptors", type=int, default=-1)
    parser.add_argument("--bells", type=int, nargs="*", default=())
    parser.add_argument("--offers", type=Path, default=None)
    parser.add_argument("--orphan-timeout", type=float, default=0.0)
    parser.add_argument("--log-format", default="text")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    link = await Link.over(socket.socket(fileno=arguments.link))
    orphanage = Orphanage(asyncio.get_running_loop(), arguments.orphan_timeout)
    async with Tasks() as tasks:
        worker = Worker(link, arguments.name, tasks, orphanage)
        if arguments.bells:
            board = Board(arguments.board, len(arguments.bells))
            descriptors = socket.socket(fileno=arguments.descriptors)
            bells = arguments.bells
            shares = Shares(board, arguments.row, bells, worker.admit, worker.joined)
            worker.share(shares, descriptors)
        with contextlib.ExitStack() as undo:
            if arguments.offers:
                offer = Offer(arguments.offers, worker.listening, worker.taken, tasks)
                offer.open()
                undo.callback(offer.close)
            await worker.serve(link)


class Orphanage:
    """Who comes when the control process is gone: the next one, somebody who wants us to end, or
    nobody."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None, timeout: float | None = None
    ) -> None:
        """`timeout` in seconds for the next one; SIGTERM and SIGINT are heeded in `loop`."""
        self._timeout = timeout
        self._next: asyncio.Queue[Link | None] = asyncio.Queue()
        self._is_alone = False
        if loop is not None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._told_to_end, loop)

    def taken(self, link: Link) -> None:
        self._next.put_nowait(link)

    def is_taken(self) -> bool:
        return not self._next.empty()

    async def next(self) -> Link | None:
        """The link of the next control process; None: nobody takes over."""
        self._is_alone = True
        try:
            async with asyncio.timeout(self._timeout):
                return await self._next.get()
        except TimeoutError:
            # On a machine that stood still it may have come in the same turn of the loop.
            return self._next.get_nowait() if self.is_taken() else None
        finally:
            self._is_alone = False

    def _told_to_end(self, loop: asyncio.AbstractEventLoop) -> None:
        """The end of the control process may not have been seen yet."""
        if self._is_alone:
            self.end()
        else:
            loop.call_later(_UNSEEN, self.end)

    def end(self) -> None:
        """There is no need to wait for anybody."""
        if self._is_alone:
            self._next.put_nowait(None)


class Worker:
    """The gateway's events go out over the link; what comes in is obeyed in order."""

    def __init__(
        self,
        link: Link | None,
        name: str,
        tasks: Tasks,
        orphanage: Orphanage,
        gateway: Gateway | None = None,
    ) -> None:
        """`gateway` is one that serves already, without a link."""
        self._link = link
        self._name = name
        self._tasks = tasks
        self._versions: dict[str, int] = {}
        self._shares: Shares | None = None
        self._collector = Collector()
        self._is_empty = False
        self._orphanage = orphanage
        self._gateway = gateway or self._made()

    async def serve(self, link: Link | None) -> None:
        """Under one control process after the other, until we are sent away or left alone."""
        while not self._is_empty:
            if link is not None:
                async for message in link.messages():
                    self.obey(message)
                link.close()
                if self._is_empty or not (self.listening() or self._gateway.is_busy()):
                    return
                if self._shares is not None:
                    self._shares.go_on()
                if not self._orphanage.is_taken():
                    log.warning("the control process is gone; %s goes on without it", self._name)
            link = await self._orphanage.next()
            if link is None:
                await self.abandon()
                return
            self._taken_by(link)

    def listening(self) -> dict[str, socket.socket]:
        return self._gateway.listening()

    def taken(self, link: Link) -> None:
        """Another control process is in charge as soon as the present one has been left."""
        self._orphanage.taken(link)
        if self._link is not None:
            self._link.close()

    def _taken_by(self, link: Link) -> None:
        self._link = link
        self._versions.clear()
        if self._shares is not None:
            self._shares.finish()
        pending = self._gateway.report_to(Telling(link, self._versions))
        link.send(wire.Taken(tuple(pending)))

    def share(self, shares: Shares, descriptors: socket.socket) -> None:
        """Limits hold over several processes; to be called before anything else."""
        self._shares = shares
        self._gateway = self._made()
        shares.listen(asyncio.get_running_loop(), descriptors)

    def admit(self, service: str) -> None:
        self._gateway.admit(service)

    def joined(self, number: int) -> None:
        self._tell(wire.Joined(number))

    def _tell(self, message: wire.Message) -> None:
        if self._link is not None:
            self._link.send(message)

    def obey(self, message: wire.Message) -> None:
        match message:
            case EndpointSnapshot():
                self._versions[message.service] = message.version
                self._gateway.apply(message)
            case wire.Share(service, replica, number, ask):
                if self._shares is not None:
                    self._shares.open(service, replica, number, ask=ask)
            case wire.Unshare(service, replica, number):
                if self._shares is not None:
                    self._shares.close(service, replica, number)
            case wire.Configure():
                self._configure(message)
            case wire.Begin(sockets):
                self._tasks.start(self._begin(sockets), "begin to accept")
            case wire.Drain(timeout, patience):
                self._tasks.start(self._drain(timeout, patience), "drain")
            case wire.Ping():
                logs.flush()
                self._tell(wire.Pong())
            case wire.Count(ticket):
                stats = self._gateway.stats(asyncio.get_running_loop().time())
                self._tell(wire.Counts(ticket, dataclasses.asdict(stats)))
            case (
                LoadReport()
                | Wake()
                | Outcome()
                | wire.Left()
                | wire.Joined()
                | wire.Began()
                | wire.CannotBegin()
                | wire.DrainedAll()
                | wire.TakeOver()
                | wire.Taken()
                | wire.Pong()
                | wire.Counts()
                | wire.Shedding()
            ):
                raise wire.Malformed(f"{message} goes the other way")
            case _:
                assert_never(message)

    async def abandon(self) -> None:
        """Nobody comes: what is under way may end."""
        log.warning("no control process has come; %s leaves", self._name)
        await self._gateway.drain(LAST_DRAIN)

    def _made(self) -> Gateway:
        assert self._link is not None
        telling = Telling(self._link, self._versions)
        return Gateway(
            Settings(),
            telling,
            random.Random(),
            source=self._name,
            everyone=self._shares,
            on_sweep=self._swept,
            memory=Group.limited(),
            on_shedding=lambda sheds, why: self._tell(wire.Shedding(sheds, why)),
        )

    def _swept(self, now: float, busy: bool) -> None:
        self._collector.tick(now, busy)
        logs.flush()

    def _configure(self, message: wire.Configure) -> None:
        services = [
            dataclasses.replace(
                routed(name, Service.model_validate(facts)), timed=name in message.timed
            )
            for name, facts in message.services.items()
        ]
        if self._shares is not None:
            limited = [service.name for service in services if service.concurrency]
            self._shares.configure(message.lines, limited)
        self._gateway.configure(services, Settings.model_validate(message.gateway))
        self._collector.watch(asyncio.get_running_loop().time())

    async def _begin(self, sockets: tuple[int, ...]) -> None:
        listening = [socket.socket(fileno=number) for number in sockets]
        try:
            await self._gateway.start(listening)
        except ListenError as error:
            self._tell(wire.CannotBegin(str(error)))
        else:
            self._tell(wire.Began())

    async def _drain(self, timeout: float, patience: float) -> None:
        await self._gateway.drain(timeout, patience)
        self._is_empty = True
        self._orphanage.end()
        self._tell(wire.DrainedAll())


class Telling:
    """Implements GatewayEvents by sending."""

    def __init__(self, link: Link, versions: dict[str, int]) -> None:
        self.wake = link.send
        self.report = link.send
        self.outcome = link.send
        self._link = link
        self._versions = versions

    def drained(self, message: Drained) -> None:
        """With the version it belongs to: the next one may have the replica again."""
        self._link.send(wire.Left(message, self._versions.get(message.service, 0)))


if __name__ == "__main__":
    main()
