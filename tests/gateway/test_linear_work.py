"""However slowly a message drips, its bytes are not looked at over and over (RFC 9112 §11.2).

Work is counted in bytes handed to the parsers, which read all that they are given. Where a search
goes on inside one object, 64 KiB in single bytes must take a small part of what a search from the
start each time would take.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Limits
from gateway import downstream, grammar, upstream
from gateway.drips import Drips
from gateway.fields import Malformed, Peer
from gateway.framing import BadFraming, Chunked
from gateway.head import incomplete_limits, parse_request
from tests.gateway.corpus import HEADS, VALID
from tests.gateway.test_head import split
from tests.support.raw_http import Call, get, say_hello, stage

LINEAR = "RFC 9112 §11.2: linear work"
LONG = 60_000
SECONDS = 0.5  # of CPU; ten times what it takes


def singly(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


class Spent:
    """CPU time, from when it was made."""

    def __init__(self) -> None:
        self._start = time.process_time()

    @property
    def seconds(self) -> float:
        return time.process_time() - self._start


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """Bytes that each call of a parser was given."""
    given_bytes: list[int] = []
    parse: Callable[..., object] = getattr(module, name)

    def count(data: bytes, *others: object) -> object:
        given_bytes.append(len(data))
        return parse(data, *others)

    monkeypatch.setattr(module, name, count)
    return given_bytes


@pytest.mark.rule(LINEAR, side="client")
async def test_a_request_that_drips_is_parsed_twice_or_so(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counted(monkeypatch, downstream, "parse_request")
    head = get("/", *(f"X-{number}: {'y' * 40}" for number in range(50)))
    async with stage(say_hello) as s:
        client = await s.client()
        for byte in singly(head):
            client.writer.write(byte)
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"hello"
    assert sum(looks) < 3 * len(head)


@pytest.mark.rule(LINEAR, side="replica")
async def test_an_answer_that_drips_is_parsed_twice_or_so(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counted(monkeypatch, upstream, "parse_response")
    fields = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 40) for number in range(50))
    answer = b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n"

    async def drip(call: Call) -> None:
        await call.request()
        for byte in singly(answer):
            call.writer.write(byte)
            await asyncio.sleep(0)

    async with stage(drip) as s:
        assert (await (await s.client()).ask(get())).status == 200
    assert sum(looks) < 3 * len(answer)


@pytest.mark.rule(LINEAR, side="both")
@pytest.mark.parametrize("bounds", [(8272, 65540), (0, 0), (-1, 65536)])
def test_64_kib_in_single_bytes_are_looked_at_once(bounds: tuple[int, int]) -> None:
    spent = Spent()
    drips = Drips(b"GET / HTTP/1.1", *bounds)
    fields = b"\r\nX: " + b"y" * 40
    looks = [whole for byte in singly(fields * (LONG // len(fields))) if (whole := drips.add(byte))]
    assert len(looks) == (0 if bounds[0] < 0 else 1)  # its first line
    assert drips.add(b"\r\n\r\n").endswith(b"\r\n\r\n")
    assert spent.seconds < SECONDS


@pytest.mark.rule(LINEAR, side="both")
def test_trailers_in_single_bytes_are_looked_at_once() -> None:
    raw = b"A:\r\n" * 4000
    body = Chunked()
    body.feed(b"0\r\n")
    spent = Spent()
    for _ in range(4):
        for byte in singly(raw[:16_000]):
            assert body.feed(byte) == b""
        assert body.feed(b"\r\n") == raw[:16_000] + b"\r\n"
        body = Chunked()
        body.feed(b"0\r\n")
    assert spent.seconds < SECONDS


class Pattern:
    """Stands before a regular expression and counts the bytes that it may read."""

    def __init__(self, pattern: Any, read: list[int]) -> None:
        self._pattern, self._read = pattern, read

    def __getattr__(self, method: str) -> Callable[..., object]:
        def call(data: bytes, start: int = 0, *end: int) -> object:
            self._read.append(len(data) - start)
            found: object = getattr(self._pattern, method)(data, start, *end)
            return found

        return call


@pytest.mark.rule(LINEAR, side="both")
def test_a_chunk_line_in_single_bytes_is_read_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    names = ["FIRST_CHUNK", "NEXT_CHUNK", "FIRST_CHUNK_BEGUN", "NEXT_CHUNK_BEGUN"]
    for name in [*names, "ENDS_CHUNK_LINE", "TRAILERS"]:
        monkeypatch.setattr(grammar, name, Pattern(getattr(grammar, name), read))
    is_spoilt = grammar.is_spoilt

    def looked_through(data: bytes, start: int) -> bool:
        read.append(len(data) - start)
        return is_spoilt(data, start)

    monkeypatch.setattr(grammar, "is_spoilt", looked_through)
    raw = (b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 4 + b"0\r\n" + b"A: b\r\n" * 1000 + b"\r\n"
    body = Chunked()
    assert b"".join(body.feed(byte) for byte in singly(raw)) == raw
    assert body.done
    assert sum(read) < 8 * len(raw)


@pytest.mark.rule("RFC 9112 §11.2: any split", side="client")
@given(
    st.sampled_from([data for data, _ in HEADS.values()] + list(VALID.values())),
    st.lists(st.integers(0, 10**6), max_size=6),
    st.sampled_from([Limits(), Limits(url=10, headers=40), Limits(url=0, headers=0)]),
)
def test_what_is_not_asked_about_would_have_said_nothing(
    data: bytes, cuts: list[int], limits: Limits
) -> None:
    """The parser, asked at every piece all the same, has nothing to say where it is not asked."""
    drips: Drips | None = None
    held = b""
    for part in split(data, cuts):
        held += part
        asked = drips is None or bool(drips.add(part))
        try:
            request = parse_request(held, 0, limits, Peer(b"10.0.0.9"), None)
        except Malformed:
            assert asked
            return
        if request is not None:
            assert asked
            return
        drips = drips or Drips(held, *incomplete_limits(limits))


@pytest.mark.rule("RFC 9112 §7.1.1: chunk extensions", side="both")
@pytest.mark.parametrize("bad", [b"\x00", b"\n", b"\rx", b"\x7f"])
def test_a_bad_byte_in_a_dripping_chunk_line_is_refused_at_once(bad: bytes) -> None:
    body = Chunked()
    for byte in singly(b"5;a=b" + bad[:-1]):
        assert body.feed(byte) == b""
    with pytest.raises(BadFraming):
        body.feed(bad[-1:])
