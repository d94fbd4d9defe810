"""The client against a real admin server, and against what is none."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.lone_server import dead_port
from tests.support.served_plane import Served, serving
from tidegate.client import AdminClient, Refused, Unreachable


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


def test_get_gives_the_json(served: Served) -> None:
    assert AdminClient(served.url).get("v1", "services", "web")["name"] == "web"


def test_a_url_may_leave_out_its_scheme_and_end_in_a_slash(served: Served) -> None:
    bare = served.url.removeprefix("http://") + "/"
    assert AdminClient(bare).get("healthz") == {"status": "alive"}


def test_a_problem_is_refused_with_code_and_words(served: Served) -> None:
    with pytest.raises(Refused, match="did you mean web") as refused:
        AdminClient(served.url).get("v1", "services", "wep")
    assert (refused.value.status, refused.value.code) == (404, "unknown-service")


@pytest.mark.parametrize("name", ["a/b", "..", "ä", "a?b=c", "%2e"])
def test_odd_names_stay_names(served: Served, name: str) -> None:
    with pytest.raises(Refused) as refused:
        AdminClient(served.url).get("v1", "services", name)
    assert refused.value.code in ("unknown-service", "not-found")


def test_lines_come_as_they_are_written(served: Served) -> None:
    lines = AdminClient(served.url).lines("v1", "services", "web", "logs")
    assert [line[:20] for line in lines] == ['{"replica":"web-1","', '{"replica":"web-2","']


def test_lines_that_are_refused_raise(served: Served) -> None:
    with pytest.raises(Refused, match="unknown parameter"):
        list(AdminClient(served.url).lines("v1", "events", x="1"))


def test_nobody_there() -> None:
    with (
        dead_port() as address,
        pytest.raises(Unreachable, match=f"no Tidegate answers at http://{address}: is it"),
    ):
        AdminClient(f"http://{address}").get("healthz")


def test_a_name_that_is_none() -> None:
    with pytest.raises(Unreachable, match="no Tidegate answers at"):
        AdminClient("http://no-such-host.invalid:9900").get("healthz")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "is no Tidegate: status 200, no JSON"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", "is no Tidegate: status 404"),
        (b"SSH-2.0-OpenSSH\r\n", "is no Tidegate: BadStatusLine"),
        (b"", "the connection to .* broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "the connection to .* broke"),
    ],
)
def test_what_is_no_tidegate_is_told_so(answer: bytes, words: str) -> None:
    with answering(answer) as url, pytest.raises(Unreachable, match=words):
        AdminClient(url, timeout=5).get("v1", "services")


def test_a_stream_that_is_cut_is_not_taken_for_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with answering(head + b"4\r\none\n\r\n") as url:
        lines = AdminClient(url).lines("v1", "events")
        assert next(lines) == "one"
        with pytest.raises(Unreachable, match="broke"):
            next(lines)


def test_silence_is_no_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unreachable, match="gives no answer in time"):
            AdminClient(url, timeout=0.05).get("healthz")


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://host:port", "http://h:99999"])
def test_a_url_that_cannot_be(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        AdminClient(url)


class answering:
    """A server for one connection that answers these bytes, whatever it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(self._answer)

    def __exit__(self, *_: object) -> None:
        self._thread.join(5)
        self._listener.close()
