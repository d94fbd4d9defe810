"""Clients that leave, in whatever state their request is: its place is free at once."""

import pytest

from cluster.messages import Endpoint
from tests.support.lone_server import deaf_port
from tests.support.raw_http import Stage, get, stage, until


def level(s: Stage) -> int:
    return s.stats().in_flight + s.stats().queued


@pytest.mark.rule("Tidegate: client gone while connecting", side="client")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_while_its_replica_is_connected_to(how: str) -> None:
    with deaf_port() as address:
        async with stage() as s:
            s.publish(Endpoint("web-deaf", address))
            client = await s.client()
            await client.send(get())
            await until(lambda: level(s) == 1)
            client.reset() if how == "reset" else client.writer.close()
            await until(lambda: level(s) == 0)
            assert s.stats().requests == {499: 1}
            assert s.gateway._context.tasks == set()
