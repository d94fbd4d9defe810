"""Talks to the admin API of a running Tidegate. Blocking, and light to import: it serves the
command line, where the start of the program is most of the time.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

# The server sends a sign of life each 15 s; a stream that misses three is dead.
_SILENCE = 45.0


class Unreachable(Exception):
    """Nobody answers, or who answers is no Tidegate; the text says what to do."""


class Refused(Exception):
    """Tidegate answered with a problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", "unknown"))
        self.problems = tuple(map(str, problem.get("problems", ())))
        super().__init__(str(problem.get("detail") or problem.get("title") or f"status {status}"))


class AdminClient:
    """One request, one connection. `timeout` in seconds is for an answer, not for a stream."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 10.0) -> None:
        """Raises ValueError for a URL that cannot be."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f'must be a URL such as http://127.0.0.1:9900, got "{url}"')
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "tidegate"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout

    def get(self, *path: str, **query: str | int) -> Any:
        """Raises Unreachable or Refused, as do all the others."""
        return self._call("GET", path, query)

    def post(self, *path: str, body: object = None) -> Any:
        return self._call("POST", path, {}, body)

    def delete(self, *path: str) -> Any:
        return self._call("DELETE", path, {})

    def lines(self, *path: str, **query: str | int) -> Iterator[str]:
        """The lines of a stream without their ends, as they come; heartbeats are empty lines."""
        with _Exchange(self._connection(_SILENCE), self.url) as exchange:
            response = exchange.send("GET", self._target(path, query), self._headers)
            if response.status != http.client.OK:
                raise _refusal(response, self.url)
            for line in _lines(response):
                yield line.decode("utf-8", "replace").rstrip("\r")

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str | int],
        body: object = None,
    ) -> Any:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        content = None if body is None else json.dumps(body).encode()
        with _Exchange(self._connection(self._timeout), self.url) as exchange:
            response = exchange.send(method, self._target(path, query), headers, content)
            if response.status >= http.client.BAD_REQUEST:
                raise _refusal(response, self.url)
            return _decoded(response, self.url)

    def _target(self, path: tuple[str, ...], query: Mapping[str, str | int]) -> str:
        steps = "/".join(quote(step, safe="") for step in path)
        return f"{self._prefix}/{steps}" + (f"?{urlencode(query)}" if query else "")

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)


class _Exchange:
    """A connection that closes with its block; all of its errors become Unreachable."""

    def __init__(self, connection: http.client.HTTPConnection, url: str) -> None:
        self._connection = connection
        self._url = url
        self._response: http.client.HTTPResponse | None = None

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> http.client.HTTPResponse:
        self._connection.request(method, target, body, dict(headers))
        self._response = self._connection.getresponse()
        return self._response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._response is not None:
            self._response.close()
        self._connection.close()
        if isinstance(error, OSError | http.client.HTTPException):
            raise Unreachable(_why(self._url, error)) from error


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """`HTTPResponse.readline` takes a cut connection for the end; `read1` raises IncompleteRead."""
    rest = b""
    while chunk := response.read1(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _why(url: str, error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return f"no Tidegate answers at {url}: is it running?"
        case TimeoutError():
            return f"Tidegate at {url} gives no answer in time"
        case http.client.IncompleteRead() | ConnectionError():
            return f"the connection to {url} broke: is Tidegate still running?"
        case http.client.HTTPException():
            return f"what answers at {url} is no Tidegate: {type(error).__name__}"
        case _:
            return f"no Tidegate answers at {url}: {error}"


def _refusal(response: http.client.HTTPResponse, url: str) -> Exception:
    problem = _decoded(response, url)
    if isinstance(problem, dict) and "code" in problem:
        return Refused(response.status, problem)
    return _stranger(url, response)


def _decoded(response: http.client.HTTPResponse, url: str) -> Any:
    try:
        return json.loads(response.read())
    except ValueError:
        raise _stranger(url, response) from None


def _stranger(url: str, response: http.client.HTTPResponse) -> Unreachable:
    return Unreachable(f"what answers at {url} is no Tidegate: status {response.status}, no JSON")
