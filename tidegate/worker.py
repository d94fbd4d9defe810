"""A gateway process: the data path alone, told what to do by the control process.

It lives and dies with its link: when that ends, the control process is gone, and so is this one.
Signals that stop Tidegate reach the whole process group; only the control process obeys them.
"""

import argparse
import asyncio
import dataclasses
import gc
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
from gateway.gateway import Gateway
from gateway.routed import routed
from tidegate import log as logs
from tidegate.link import Link


def main() -> None:
    arguments = _arguments()
    logs.configure(arguments.log_format, arguments.log_level)
    descriptors.raise_limit()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    uvloop.run(_serve(arguments.link, arguments.name))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One gateway process; started by tidegate run.")
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--log-format", default="text")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args()


async def _serve(link: int, name: str) -> None:
    end = await Link.over(socket.socket(fileno=link))
    async with Tasks() as tasks:
        worker = Worker(end, name, tasks)
        async for message in end.messages():
            worker.obey(message)
        await worker.abandon()


class Worker:
    """The gateway's events go out over the link; what comes in is obeyed in order."""

    def __init__(self, link: Link, name: str, tasks: Tasks) -> None:
        self._link = link
        self._tasks = tasks
        self._gateway = Gateway(Settings(), Telling(link), random.Random(), source=name)

    def obey(self, message: wire.Message) -> None:
        match message:
            case EndpointSnapshot():
                self._gateway.apply(message)
            case wire.Configure():
                self._configure(message)
            case wire.Begin(sockets):
                self._tasks.start(self._begin(sockets), "begin to accept")
            case wire.Drain(timeout):
                self._tasks.start(self._drain(timeout), "drain")
            case wire.Count(ticket):
                stats = self._gateway.stats(asyncio.get_running_loop().time())
                self._link.send(wire.Counts(ticket, dataclasses.asdict(stats)))
            case (
                LoadReport()
                | Wake()
                | Outcome()
                | Drained()
                | wire.Began()
                | wire.DrainedAll()
                | wire.Counts()
            ):
                raise wire.Malformed(f"{message} goes the other way")
            case _:
                assert_never(message)

    async def abandon(self) -> None:
        """The control process is gone: nobody would start what clients wait for."""
        await self._gateway.drain(0)

    def _configure(self, message: wire.Configure) -> None:
        services = (
            routed(name, Service.model_validate(facts)) for name, facts in message.services.items()
        )
        self._gateway.configure(services, Settings.model_validate(message.gateway))
        # What was configured lives on: later collections need not look at it.
        gc.collect()
        gc.freeze()

    async def _begin(self, sockets: tuple[int, ...]) -> None:
        await self._gateway.start([socket.socket(fileno=number) for number in sockets])
        self._link.send(wire.Began())

    async def _drain(self, timeout: float) -> None:
        await self._gateway.drain(timeout)
        self._link.send(wire.DrainedAll())


class Telling:
    """Implements GatewayEvents by sending."""

    def __init__(self, link: Link) -> None:
        self.wake = link.send
        self.report = link.send
        self.outcome = link.send
        self.drained = link.send


if __name__ == "__main__":
    main()
