"""A gateway process: the data path alone, told what to do by the control process.

It lives and dies with its link: when that ends, the control process is gone, and so is this one.
Signals that stop Tidegate reach the whole process group; only the control process obeys them.
"""

import argparse
import asyncio
import dataclasses
import random
import signal
import socket
from typing import assert_never

import uvloop

from cluster import descriptors, wire
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
from tidegate.shares import Shares


def main() -> None:
    arguments = _arguments()
    logs.configure(arguments.log_format, arguments.log_level)
    descriptors.raise_limit()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    uvloop.run(_serve(arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One gateway process; started by tidegate run.")
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--row", type=int, default=0)
    parser.add_argument("--board", type=int, default=-1)
    parser.add_argument("--descriptors", type=int, default=-1)
    parser.add_argument("--bells", type=int, nargs="*", default=())
    parser.add_argument("--log-format", default="text")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    end = await Link.over(socket.socket(fileno=arguments.link))
    async with Tasks() as tasks:
        worker = Worker(end, arguments.name, tasks)
        if arguments.bells:
            board = Board(arguments.board, len(arguments.bells))
            descriptors = socket.socket(fileno=arguments.descriptors)
            bells = arguments.bells
            shares = Shares(board, arguments.row, bells, worker.admit, worker.joined)
            worker.share(shares, descriptors)
        async for message in end.messages():
            worker.obey(message)
        await worker.abandon()


class Worker:
    """The gateway's events go out over the link; what comes in is obeyed in order."""

    def __init__(self, link: Link, name: str, tasks: Tasks) -> None:
        self._link = link
        self._name = name
        self._tasks = tasks
        self._versions: dict[str, int] = {}
        self._shares: Shares | None = None
        self._collector = Collector()
        self._gateway = self._made()

    def share(self, shares: Shares, descriptors: socket.socket) -> None:
        """Limits hold over several processes; to be called before anything else."""
        self._shares = shares
        self._gateway = self._made()
        shares.listen(asyncio.get_running_loop(), descriptors)

    def admit(self, service: str) -> None:
        self._gateway.admit(service)

    def joined(self, number: int) -> None:
        self._link.send(wire.Joined(number))

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
            case wire.Drain(timeout):
                self._tasks.start(self._drain(timeout), "drain")
            case wire.Ping():
                self._link.send(wire.Pong())
            case wire.Count(ticket):
                stats = self._gateway.stats(asyncio.get_running_loop().time())
                self._link.send(wire.Counts(ticket, dataclasses.asdict(stats)))
            case (
                LoadReport()
                | Wake()
                | Outcome()
                | wire.Left()
                | wire.Joined()
                | wire.Began()
                | wire.CannotBegin()
                | wire.DrainedAll()
                | wire.Pong()
                | wire.Counts()
            ):
                raise wire.Malformed(f"{message} goes the other way")
            case _:
                assert_never(message)

    async def abandon(self) -> None:
        """The control process is gone: nobody would start what clients wait for."""
        await self._gateway.drain(0)

    def _made(self) -> Gateway:
        telling = Telling(self._link, self._versions)
        return Gateway(
            Settings(),
            telling,
            random.Random(),
            source=self._name,
            everyone=self._shares,
            on_sweep=self._collector.tick,
        )

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
            self._link.send(wire.CannotBegin(str(error)))
        else:
            self._link.send(wire.Began())

    async def _drain(self, timeout: float) -> None:
        await self._gateway.drain(timeout)
        self._link.send(wire.DrainedAll())


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
