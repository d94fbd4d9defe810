"""The quickstart's applications, each over real sockets as a process of its own."""

import http.client
import signal
import threading
import time
from collections.abc import Iterable, Iterator

import pytest

from tests.examples.applications import DEADLINE, Running, running

PIECES = [bytes(range(256)) * 400 for _ in range(100)]  # 10.24 MB


@pytest.fixture
def echo() -> Iterator[Running]:
    with running("echo") as application:
        yield application


def get(client: http.client.HTTPConnection, path: str = "/") -> tuple[int, bytes]:
    client.request("GET", path)
    response = client.getresponse()
    return response.status, response.read()


def test_hello_names_its_replica_and_keeps_the_connection() -> None:
    with running("hello") as application:
        client = application.client
        status, body = get(client)
        connection = client.sock
        assert (status, body) == (200, f"Hello from process {application.process.pid}.\n".encode())
        assert get(client, "/ready")[0] == 200
        assert client.sock is connection


def test_slow_listens_after_two_seconds() -> None:
    with running("slow") as application:
        assert application.seconds_to_listen > 1.9  # and less than DEADLINE
        assert get(application.client, "/ready")[0] == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_echo_streams_a_large_upload_back_unchanged(echo: Running, chunked: bool) -> None:
    client = echo.client
    first_came_back = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield PIECES[0]
        # The rest is sent only when the echo of the first piece was seen: it cannot be buffered.
        assert first_came_back.wait(DEADLINE)
        yield from PIECES[1:]

    head_sent = threading.Event()
    sender = threading.Thread(target=_post, args=(client, pieces(), chunked, head_sent))
    sender.start()
    assert head_sent.wait(DEADLINE)
    received = _read_all(client, first_came_back)
    sender.join(DEADLINE)
    assert received == b"".join(PIECES)
    assert get(client)[0] == 200, "the connection is still good for the next request"


def _post(
    client: http.client.HTTPConnection,
    pieces: Iterable[bytes],
    chunked: bool,
    head_sent: threading.Event,
) -> None:
    client.putrequest("POST", "/")
    if chunked:
        client.putheader("Transfer-Encoding", "chunked")
    else:
        client.putheader("Content-Length", str(sum(map(len, PIECES))))
    client.endheaders()
    head_sent.set()
    for piece in pieces:
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        client.send(b"0\r\n\r\n")


def _read_all(client: http.client.HTTPConnection, first_came_back: threading.Event) -> bytes:
    response = client.getresponse()
    assert response.getheader("Transfer-Encoding") == "chunked"
    received = response.read(len(PIECES[0]))
    first_came_back.set()
    return received + response.read()


def test_echo_shows_the_request_as_it_saw_it(echo: Running) -> None:
    echo.client.request("GET", "/anything", headers={"X-Test": "yes"})
    shown = echo.client.getresponse().read()
    assert shown.startswith(b"GET /anything\n")
    assert b"x-test: yes\n" in shown


def test_echo_streams_events_until_their_time_is_over(echo: Running) -> None:
    client = echo.client
    client.request("GET", "/stream?seconds=1")
    response = client.getresponse()
    assert response.getheader("Content-Type") == "text/event-stream"
    lines = [*filter(None, map(bytes.strip, response))]
    assert lines == [f"data: event {number}".encode() for number in range(1, 6)]


def test_echo_streams_one_event_each_200_ms(echo: Running) -> None:
    """None before its time, and the first ones long before the last one is due."""
    began = time.perf_counter()
    echo.client.request("GET", f"/stream?seconds={2 * DEADLINE}")
    lines = filter(None, map(bytes.strip, echo.client.getresponse()))
    for number in range(1, 6):
        assert next(lines) == f"data: event {number}".encode()
        assert time.perf_counter() - began >= 0.2 * (number - 1)
    assert time.perf_counter() - began < DEADLINE


def test_echo_sleeps_as_long_as_asked(echo: Running) -> None:
    began = time.perf_counter()
    assert get(echo.client, "/sleep?ms=150") == (200, b"slept 150 ms\n")
    assert time.perf_counter() - began >= 0.15


@pytest.mark.parametrize("path", ["/sleep?ms=soon", "/sleep?ms=-1", "/stream?seconds=nan"])
def test_echo_refuses_amounts_that_make_no_sense(echo: Running, path: str) -> None:
    assert get(echo.client, path)[0] == 400


@pytest.mark.parametrize(
    "head", [b"nonsense\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nbroken\r\n\r\n"]
)
def test_a_malformed_head_gets_400_and_the_connection_ends(echo: Running, head: bytes) -> None:
    with echo.connect() as connection, connection.makefile("rb") as answer:
        connection.sendall(head)
        assert answer.read().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_expect_100_continue_is_answered_before_the_body(echo: Running) -> None:
    with echo.connect() as connection, connection.makefile("rb") as answer:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head)
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert answer.readline() == b"\r\n"
        connection.sendall(b"hi")
        assert answer.readline() == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("name", ["hello", "slow", "echo"])
def test_sigterm_ends_an_idle_application_at_once(name: str) -> None:
    with running(name) as application:
        get(application.client)  # leaves an idle connection open, as a gateway's pool does
        application.process.send_signal(signal.SIGTERM)
        assert application.process.wait(DEADLINE) == 0


def test_sigterm_lets_the_running_request_finish(echo: Running) -> None:
    client = echo.client
    client.request("GET", "/stream?seconds=1")
    response = client.getresponse()
    assert response.readline() == b"data: event 1\n"
    echo.process.send_signal(signal.SIGTERM)
    assert response.read().endswith(b"data: event 5\n\n")
    assert echo.process.wait(DEADLINE) == 0
