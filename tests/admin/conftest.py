"""A server of the API on a free port, and a client for it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Counter

from admin.app import AdminServer
from tests.support.operated_plane import OperatedPlane


@pytest.fixture
def plane() -> OperatedPlane:
    return OperatedPlane()


@pytest.fixture
def metrics() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("tidegate_things", "Things", ["service"], registry=registry).labels("web").inc(3)
    return registry


@pytest.fixture
async def server(plane: OperatedPlane, metrics: CollectorRegistry) -> AsyncIterator[AdminServer]:
    server = AdminServer("127.0.0.1:0", None, plane, metrics, heartbeat=0.05)
    yield server
    await server.stop()


@pytest.fixture
async def client(server: AdminServer) -> AsyncIterator[ClientSession]:
    address = await server.start()
    async with ClientSession(f"http://{address}") as session:
        yield session
