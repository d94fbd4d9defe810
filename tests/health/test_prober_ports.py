"""The prober against real ports, on both event loops."""

import asyncio
import socket

from cluster.lifecycle import Event, State
from cluster.model import Replica
from config.service import Probe, StartupProbe
from tests.support.lone_server import answering, bound_but_closed, on_each_loop, read_head, serving
from tests.support.probed_world import (
    World,
    a_health,
    a_replica,
    a_world,
    health_tasks,
)


async def until_ready(world: World) -> None:
    ready = asyncio.Event()
    world.registry.on_replica(lambda r: ready.set() if r.state is State.READY else None)
    async with asyncio.timeout(30):
        await ready.wait()


async def until_tried(world: World, times: int) -> None:
    """In vain."""
    facts = {"service": "web", "kind": "startup", "outcome": "failed"}
    async with asyncio.timeout(30):
        while world.count("tidegate_probes_total", **facts) < times:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.005)


@on_each_loop
async def test_a_real_port_that_opens_late_is_found() -> None:
    closed, address = bound_but_closed()
    async with a_world(a_health()) as world:
        with closed:
            world.add(a_replica(address=address))
            await until_tried(world, 6)
            assert world.state() is State.STARTING
            closed.listen()
            await until_ready(world)


@on_each_loop
async def test_a_real_port_that_never_opens_is_condemned_in_words() -> None:
    closed, address = bound_but_closed()
    failed: asyncio.Queue[Replica] = asyncio.Queue()
    async with a_world(a_health(startup=StartupProbe(tcp=True, deadline=0.2))) as world:
        world.registry.on_replica(
            lambda r: failed.put_nowait(r) if r.state is State.FAILED else None
        )
        with closed:
            world.add(a_replica(address=address))
            async with asyncio.timeout(30):
                replica = await failed.get()
    text = f"port {address.port} did not open within 200 ms (last try: connection refused)"
    assert replica.reason == text


@on_each_loop
async def test_a_real_server_is_ready_when_it_stops_answering_503() -> None:
    answers = 0

    async def warm_up(sock: socket.socket) -> None:
        nonlocal answers
        answers += 1
        status = b"503" if answers < 5 else b"200"
        await answering(b"HTTP/1.1 " + status + b" x\r\nContent-Length: 0\r\n\r\n")(sock)

    async with (
        serving(warm_up) as address,
        a_world(a_health(readiness=Probe(http="/ready", every=0.05))) as world,
    ):
        world.add(a_replica(address=address))
        await until_ready(world)
        assert world.known().reason.startswith("GET /ready answered 200 after ")
        assert answers >= 5


@on_each_loop
async def test_a_probe_of_a_hanging_server_is_hung_up_when_the_replica_leaves() -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def hang(sock: socket.socket) -> None:
        await read_head(sock)
        asked.set()
        assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""
        hung_up.set()

    readiness = Probe(http="/ready", every=0.05, timeout=60.0)
    async with serving(hang) as address, a_world(a_health(readiness=readiness)) as world:
        world.add(a_replica(state=State.READY, address=address))
        async with asyncio.timeout(30):
            await asked.wait()
            world.advance(Event.FREEZE)
            await hung_up.wait()
        assert health_tasks() == []
