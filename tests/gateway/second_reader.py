"""llhttp, Node's parser as aiohttp ships it: a reader of HTTP/1.1 that is not ours."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import BadHttpMethod
from aiohttp.http_parser import HttpRequestParser, HttpResponseParser

_ENOUGH = 2**20
# It parses within a call; the loop is never run.
_LOOP = asyncio.SelectorEventLoop()
_LOOP.close()
_KNOWN = b"POST"  # stands in for methods that llhttp does not know


@dataclass(frozen=True)
class Message:
    """A request as llhttp understands it."""

    target: bytes
    host: bytes
    chunked: bool
    content: bytes
    done: bool


@dataclass(frozen=True)
class Seen:
    """What llhttp makes of a stream; `rest` follows a request to upgrade."""

    messages: list[Message] = field(default_factory=list)
    rest: bytes = b""


def read_requests(method: bytes, rest: bytes) -> Seen:
    """All requests in a stream that begins with `method`. Raises what llhttp refuses."""
    try:
        found, _, tail = _request_parser().feed_data(method + b" " + rest)
    except BadHttpMethod:
        found, _, tail = _request_parser().feed_data(_KNOWN + b" " + rest)
    messages = [
        Message(
            raw.path.encode("utf-8", "surrogateescape"),
            raw.headers["Host"].encode(),
            raw.chunked,
            _content(body),
            body.is_eof(),
        )
        for raw, body in found
    ]
    return Seen(messages, tail)


def read_answer(data: bytes) -> tuple[int, bytes, bool]:
    """Status, content, and whether it is complete. Raises what llhttp refuses."""
    parser = HttpResponseParser(
        BaseProtocol(_LOOP), _LOOP, _ENOUGH, max_line_size=_ENOUGH, max_field_size=_ENOUGH,
        max_headers=1000, auto_decompress=False, read_until_eof=True,
    )  # fmt: skip
    found, _, _ = parser.feed_data(data)
    ((raw, body),) = found
    return raw.code, _content(body), body.is_eof()


def _request_parser() -> HttpRequestParser:
    return HttpRequestParser(
        BaseProtocol(_LOOP), _LOOP, _ENOUGH, max_line_size=_ENOUGH, max_field_size=_ENOUGH,
        max_headers=1000, auto_decompress=False,
    )  # fmt: skip


def _content(body: Any) -> bytes:
    return b"".join(getattr(body, "_buffer", ()))


class Stream:
    """Requests as they come, in any pieces."""

    def __init__(self) -> None:
        self._parser = _request_parser()
        self._waiting: list[tuple[Any, Any]] = []

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """Target, and whether an upgrade was asked, of each request that is complete now."""
        found, _, _ = self._parser.feed_data(data)
        self._waiting += found
        complete = []
        while self._waiting and self._waiting[0][1].is_eof():
            raw, _ = self._waiting.pop(0)
            complete.append((raw.path.encode("utf-8", "surrogateescape"), raw.upgrade))
        return complete
