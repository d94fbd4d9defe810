"""Replicas behind a published port: for engines whose own network we cannot reach."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from functools import partial
from ipaddress import ip_network

import pytest

from cluster.model import Address, InstanceStatus
from cluster.workload import Workload
from runtimes.docker import DockerRuntime
from tests.contracts.observation import answers_http, eventually
from tests.support.docker_engine import containers_of, engine

pytestmark = pytest.mark.docker


@contextlib.asynccontextmanager
async def publishing(url: str | None = None) -> AsyncIterator[DockerRuntime]:
    owner = f"publish-{uuid.uuid4().hex[:8]}"
    runtime = DockerRuntime(owner, url=url, publish=True)
    await runtime.open()
    try:
        yield runtime
    finally:
        for instance in await runtime.instances():
            await runtime.stop(instance.id, grace=0)
        await runtime.close()
        assert await containers_of(owner) == []


@contextlib.asynccontextmanager
async def far_engine() -> AsyncIterator[Address]:
    """The engine as one on another machine is: over TCP, on an address that is not loopback."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_unix_connection("/var/run/docker.sock")
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, inner[1]), _copy(inner[0], writer))

    async with engine() as docker:
        bridge = await (await docker.networks.get("bridge")).show()
    host = str(ip_network(bridge["IPAM"]["Config"][0]["Subnet"])[1])
    server = await asyncio.start_server(relay, host, 0)
    try:
        yield Address(host, server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def test_a_published_replica_answers_on_a_loopback_port_of_its_own(
    busybox_image: str,
) -> None:
    async with publishing() as runtime:
        workload = Workload("web", "r1", image=busybox_image)
        first = await runtime.start("a", workload)
        second = await runtime.start("b", workload)
        assert first.address is not None
        assert first.address.host == "127.0.0.1"
        assert first.address != second.address
        listed = sorted(await runtime.instances(), key=lambda one: one.replica)
        assert listed == [first, second]
        for instance in (first, second):
            address = instance.address
            assert address is not None
            await eventually(partial(answers_http, address), "it answers")


async def test_a_frozen_published_replica_keeps_its_address(busybox_image: str) -> None:
    async with publishing() as runtime:
        started = await runtime.start("a", Workload("web", "r1", image=busybox_image))
        await runtime.freeze(started.id)
        [frozen] = await runtime.instances()
        assert (frozen.status, frozen.address) == (InstanceStatus.FROZEN, started.address)


async def test_a_far_engine_publishes_where_we_reach_it(busybox_image: str) -> None:
    async with far_engine() as address, publishing(f"tcp://{address}") as runtime:
        started = await runtime.start("a", Workload("web", "r1", image=busybox_image))
        assert started.address is not None
        assert started.address.host == address.host
        assert await runtime.instances() == [started]
        at = started.address
        await eventually(lambda: answers_http(at), "it answers")
