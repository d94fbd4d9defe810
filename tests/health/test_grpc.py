"""The gRPC health probe, asked of grpcio's own server, and of what is none."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from cluster.model import Address
from config.health import Probe
from health.grpc import NotGrpc, request_of, status_of
from health.probes import ask_grpc, attempt
from health.verdict import Finding, Result
from tests.support.lone_server import (
    answering,
    bound_but_closed,
    endless,
    on_each_loop,
    serving,
    silence,
    then_open,
)
from tests.support.probed_world import a_replica, no_commands

TIMEOUT = 5.0
Serving = health_pb2.HealthCheckResponse.ServingStatus


@contextlib.asynccontextmanager
async def grpc_server(**statuses: str) -> AsyncIterator[Address]:
    """A real server; `whole` is the status of the server itself."""
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    for name, status in statuses.items():
        servicer.set("" if name == "whole" else name, Serving.Value(status))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Address("127.0.0.1", port)
    finally:
        await asyncio.to_thread(server.stop(0).wait)


@on_each_loop
async def test_a_real_server_passes_while_it_says_serving() -> None:
    async with grpc_server(whole="SERVING", shop="NOT_SERVING", cart="SERVING") as address:
        found = [await ask_grpc(address, service, TIMEOUT) for service in ("", "shop", "cart")]
    assert found == [
        Finding(Result.PASSED, "gRPC health: SERVING"),
        Finding(Result.FAILED, 'gRPC health of "shop": NOT_SERVING'),
        Finding(Result.PASSED, 'gRPC health of "cart": SERVING'),
    ]


async def test_a_service_that_the_server_does_not_know_fails() -> None:
    async with grpc_server(whole="SERVING") as address:
        finding = await ask_grpc(address, "nobody", TIMEOUT)
    assert finding.result is Result.FAILED
    assert finding.text.startswith('gRPC health of "nobody": NOT_FOUND: it does not know that')


async def test_a_server_without_a_health_service_fails() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        finding = await ask_grpc(Address("127.0.0.1", port), "", TIMEOUT)
    finally:
        await server.stop(0)
    assert finding.result is Result.FAILED
    assert finding.text.startswith("gRPC health: UNIMPLEMENTED: it has no grpc.health.v1.Health")


async def test_a_server_that_is_overdue_fails_in_time() -> None:
    class Slow(health_pb2_grpc.HealthServicer):
        async def Check(self, request: object, context: object) -> object:
            await asyncio.sleep(5)
            return health_pb2.HealthCheckResponse(status="SERVING")

    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(Slow(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        finding = await ask_grpc(Address("127.0.0.1", port), "", 0.2)
    finally:
        await server.stop(0)
    assert finding.result is Result.FAILED
    # Whoever was first: our clock or theirs, which was told by grpc-timeout.
    assert "not answered within 0.2 s" in finding.text or "DEADLINE_EXCEEDED" in finding.text


async def test_the_kinds_of_a_check_reach_it_by_the_key_grpc() -> None:
    async with grpc_server(whole="NOT_SERVING", cart="SERVING") as address:
        for written, passes in ((True, False), ("cart", True)):
            check = Probe(grpc=written, port=address.port)
            found = await attempt(check, a_replica(), TIMEOUT, no_commands)
            assert found.passed is passes


NOT_GRPC = [
    (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "sent something that is not HTTP/2"),
    (answering(), "closed the connection before it answered"),
    (then_open(b"\x16\x03\x01 that is TLS, isn't it?"), "sent something that is not HTTP/2"),
    (endless(b"", b"\x00\x00\x04\x99\x00\x00\x00\x00\x01abcd" * 100), ""),
]


@pytest.mark.parametrize(("handle", "words"), NOT_GRPC)
async def test_whatever_is_not_grpc_fails(handle: object, words: str) -> None:
    async with serving(handle) as address:  # type: ignore[arg-type]
        finding = await ask_grpc(address, "", TIMEOUT if words else 0.5)
    assert finding.result is Result.FAILED
    assert words in finding.text


async def test_silence_and_refusal_are_told_apart() -> None:
    async with serving(silence) as address:
        silent = await ask_grpc(address, "", 0.1)
    closed, nowhere = bound_but_closed()
    with closed:
        refused = await ask_grpc(nowhere, "", TIMEOUT)
    assert silent == Finding(Result.FAILED, "gRPC health was not answered within 0.1 s")
    assert refused == Finding(Result.FAILED, "gRPC health: connection refused")


# The messages, held against the code that protoc made


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_the_request_is_what_protobuf_makes_of_it(service: str) -> None:
    assert request_of(service) == health_pb2.HealthCheckRequest(service=service).SerializeToString()


@pytest.mark.parametrize("number", Serving.values())
def test_each_status_is_read_as_protobuf_wrote_it(number: int) -> None:
    message = health_pb2.HealthCheckResponse(status=number).SerializeToString()
    assert status_of(message) == number


@pytest.mark.parametrize(
    "later", [b"\x10\x96\x01", b"\x12\x03abc", b"\x19" + b"\0" * 8, b"\x1d" + b"\0" * 4]
)
def test_fields_of_a_later_version_are_passed_over(later: bytes) -> None:
    assert status_of(later + b"\x08\x01") == status_of(b"\x08\x01" + later) == 1


@given(st.binary(max_size=64))
def test_no_message_does_more_than_be_refused(message: bytes) -> None:
    with contextlib.suppress(NotGrpc):
        assert status_of(message) >= 0
