"""Single tries against servers that behave badly, on both event loops."""

import asyncio
import errno
import socket
from collections.abc import Sequence

import pytest

from cluster.model import Address
from cluster.runtime import RuntimeFailure
from config.service import Probe, StartupProbe
from health import probes
from health.verdict import Finding, Result
from tests.support.lone_server import (
    Handle,
    answering,
    bound_but_closed,
    deaf_port,
    endless,
    on_each_loop,
    read_head,
    reset,
    serving,
    silence,
    then_open,
)
from tests.support.probed_world import a_replica, no_commands

TIMEOUT = 5.0
SHORT = 0.1


async def got(handle: Handle, timeout: float = TIMEOUT, check: Probe | None = None) -> Finding:
    async with serving(handle) as address:
        return await probes.get(address, check or Probe(http="/ready"), timeout)


@on_each_loop
async def test_tcp_passes_on_an_open_port() -> None:
    async with serving(silence) as address:
        finding = await probes.tcp(address, TIMEOUT)
    assert finding == Finding(Result.PASSED, f"port {address.port} opened")


@on_each_loop
async def test_tcp_is_refused_by_a_closed_port() -> None:
    closed, address = bound_but_closed()
    with closed:
        assert await probes.tcp(address, TIMEOUT) == Finding(Result.FAILED, "connection refused")


@on_each_loop
async def test_tcp_gives_up_on_a_port_that_swallows_connections() -> None:
    with deaf_port() as address:
        finding = await probes.tcp(address, SHORT)
    assert finding == Finding(Result.FAILED, "no answer within 0.1 s")


@on_each_loop
async def test_http_passes_on_2xx() -> None:
    finding = await got(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert finding == Finding(Result.PASSED, "GET /ready answered 200")


@on_each_loop
async def test_http_passes_on_a_redirect_and_does_not_follow_it() -> None:
    location = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert await got(answering(location)) == Finding(Result.PASSED, "GET /ready answered 302")


@on_each_loop
async def test_http_fails_on_503_and_quotes_the_answer() -> None:
    finding = await got(answering(b"HTTP/1.1 503 x\r\n\r\n", b"no database"))
    assert finding == Finding(Result.FAILED, 'GET /ready answered 503 "no database"')


@on_each_loop
async def test_http_does_not_wait_for_a_server_that_keeps_the_connection() -> None:
    for answer in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ):
        assert (await got(then_open(answer))).passed


@on_each_loop
async def test_http_fails_on_silence() -> None:
    finding = await got(silence, SHORT)
    assert finding == Finding(Result.FAILED, "GET /ready was not answered within 0.1 s")


@on_each_loop
async def test_http_fails_on_a_body_that_stops_half_way() -> None:
    finding = await got(then_open(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), SHORT)
    assert finding.result is Result.FAILED


@on_each_loop
async def test_http_fails_on_a_reset() -> None:
    assert await got(reset) == Finding(Result.FAILED, "GET /ready: connection reset")


@on_each_loop
async def test_http_fails_on_garbage() -> None:
    finding = await got(then_open(b"\x00\x01\x02 who are you?\r\n"))
    assert finding == Finding(Result.FAILED, "GET /ready: it sent something that is not HTTP/1.1")


@on_each_loop
async def test_http_fails_on_an_empty_answer() -> None:
    text = "GET /ready: it closed the connection before it answered"
    assert await got(answering()) == Finding(Result.FAILED, text)


@on_each_loop
async def test_http_reads_only_the_start_of_an_endless_body() -> None:
    finding = await got(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1024))
    assert finding == Finding(Result.PASSED, "GET /ready answered 200")


@on_each_loop
async def test_http_fails_on_an_endless_head() -> None:
    finding = await got(endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 100))
    text = "GET /ready: it sent more than 16 KiB of header fields"
    assert finding == Finding(Result.FAILED, text)


@on_each_loop
async def test_http_takes_an_answer_that_came_before_the_request_was_read() -> None:
    async def hasty(sock: socket.socket) -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(sock, answer)
        await read_head(sock)

    assert (await got(hasty)).passed


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/ready", b"GET /ready HTTP/1.1\r\n"),
        ("/a?deep=1&b=%20", b"GET /a?deep=1&b=%20 HTTP/1.1\r\n"),
        ("/gr\u00fcn licht#x", b"GET /gr%C3%BCn%20licht%23x HTTP/1.1\r\n"),
        ("/a HTTP/1.1\r\nX-Injected: 1", b"GET /a%20HTTP/1.1%0D%0AX-Injected:%201 HTTP/1.1\r\n"),
    ],
)
async def test_the_request_is_small_and_says_who_asks(path: str, line: bytes) -> None:
    seen = b""

    async def note(sock: socket.socket) -> None:
        nonlocal seen
        seen = await read_head(sock)

    async with serving(note) as address:
        await probes.get(address, Probe.model_construct(http=path), TIMEOUT)
    assert seen == line + (
        f"Host: {address}\r\nUser-Agent: tidegate-probe/1\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


async def commanded(
    code: int | Exception, timeout: float = 1.0
) -> tuple[Finding, tuple[str, Sequence[str], float] | None]:
    asked = None

    async def execute(instance: str, command: Sequence[str], timeout: float) -> int:
        nonlocal asked
        asked = (instance, command, timeout)
        if isinstance(code, Exception):
            raise code
        return code

    check = Probe(exec=("pg_isready", "-q"))
    return await probes.attempt(check, a_replica(), timeout, execute), asked


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (0, Finding(Result.PASSED, "exec pg_isready ended with code 0")),
        (2, Finding(Result.FAILED, "exec pg_isready ended with code 2")),
        (
            RuntimeFailure("timeout", "too slow"),
            Finding(Result.FAILED, "exec pg_isready did not end within 1 s"),
        ),
        (
            RuntimeFailure("engine-unavailable", "no engine at /run/docker.sock", transient=True),
            Finding(Result.UNKNOWN, "exec pg_isready: no engine at /run/docker.sock"),
        ),
    ],
)
async def test_exec_judges_by_the_exit_code_and_an_absent_engine_proves_nothing(
    code: int | Exception, finding: Finding
) -> None:
    seen, asked = await commanded(code)
    assert seen == finding
    assert asked == ("i-web-1", ("pg_isready", "-q"), 1.0)


async def test_exec_does_not_trust_a_driver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def execute(instance: str, command: Sequence[str], timeout: float) -> int:
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(probes, "_EXEC_MARGIN", 0.05)
    finding = await probes.run_command(("check",), "i-1", 0.05, execute)
    assert finding == Finding(Result.FAILED, "exec check did not end within 0.05 s")


async def test_exec_needs_an_instance() -> None:
    check = Probe(exec=("check",))
    finding = await probes.attempt(check, a_replica(static=True), 1.0, no_commands)
    assert finding.result is Result.UNKNOWN


@pytest.mark.parametrize("path", [None, "/ready"])
async def test_a_probe_goes_to_the_port_it_names(path: str | None) -> None:
    async with serving(answering(b"HTTP/1.1 204 x\r\n\r\n")) as address:
        check = Probe(tcp=path is None, http=path, port=address.port)
        finding = await probes.attempt(check, a_replica(), TIMEOUT, no_commands)
    assert finding.passed


async def test_a_replica_without_an_address_is_unknown() -> None:
    finding = await probes.attempt(
        StartupProbe(tcp=True), a_replica(address=None), 1.0, no_commands
    )
    assert finding.result is Result.UNKNOWN


@pytest.mark.parametrize("path", [None, "/ready"])
async def test_our_own_trouble_proves_nothing(
    path: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", exhausted)
    check = StartupProbe(tcp=path is None, http=path)
    finding = await probes.attempt(check, a_replica(), 1.0, no_commands)
    assert finding.result is Result.UNKNOWN
    assert finding.text.endswith("the probe itself failed: Too many open files")


async def test_a_name_that_does_not_resolve_fails() -> None:
    finding = await probes.tcp(Address("a..b", 80), TIMEOUT)
    assert finding.result is Result.FAILED
    assert finding.text.startswith("its name could not be resolved")
