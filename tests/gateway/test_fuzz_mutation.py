"""Hundreds of thousands of odd messages: what is passed on has one meaning, for others too.

The other reader is llhttp, as aiohttp ships it. `FUZZ_SEED` and `FUZZ_COUNT` make other or longer
runs; a failure names the seed and the message.
"""

import os
import random
import re

import pytest

from config.settings import Limits
from gateway.fields import Malformed, Peer
from gateway.framing import CHUNKED, UNTIL_CLOSE, BadFraming, Chunked, Follower, follower
from gateway.head import Request, Response, parse_request, parse_response
from tests.gateway.mutation import ANSWERS, REQUESTS, mutated
from tests.gateway.second_reader import Message, read_answer, read_requests

SEED = int(os.environ.get("FUZZ_SEED", "9112"))
COUNT = int(os.environ.get("FUZZ_COUNT", "240000"))
SHARDS = 4

LIMITS = Limits()
PEER = Peer(b"10.0.0.9")
PROBE = b"GET /probe HTTP/1.1\r\nHost: probe.test\r\n\r\n"
NOT_IN_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n)")
HOP_BY_HOP = frozenset(
    b"connection te upgrade keep-alive proxy-connection proxy-authorization proxy-authenticate "
    b"proxy-authentication-info".split()
)
# What transmit() adds on purpose, last in the block.
OURS = re.compile(
    rb"(\r\nConnection: TE\r\nTE: trailers(?=\r\nX-Forwarded-For: ))"
    rb"|(\r\nConnection: Upgrade\r\nUpgrade: [^\r]+(?=\r\nX-Request-Id: f-1\r\n\r\n\Z))"
)


def names(head: bytes) -> list[bytes]:
    return [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:-2]]


def value(head: bytes, name: bytes) -> bytes:
    found: list[bytes] = re.findall(rb"(?i)\r\n" + name + rb":[ \t]*([^\r]*?)[ \t]*(?=\r\n)", head)
    assert len(found) == 1, name
    return found[0]


def sent_head(request: Request) -> bytes:
    """As an exchange sends it to a replica."""
    head = request.line + request.forward
    if request.fields.upgrade:
        head += b"\r\nConnection: Upgrade\r\nUpgrade: " + request.fields.upgrade
    return head + b"\r\nX-Request-Id: f-1\r\n\r\n"


def check_head(head: bytes) -> None:
    """A head as it may leave us, whichever way it goes (RFC 9112 §2.2, RFC 9110 §7.6.1)."""
    assert not NOT_IN_HEAD.search(head)
    listed = names(OURS.sub(b"", head))
    assert not HOP_BY_HOP & set(listed)
    assert listed.count(b"content-length") + listed.count(b"transfer-encoding") <= 1


def follow(length: int, data: bytes) -> tuple[bytes, bytes, Follower]:
    """What is passed on of a body, its content, and its follower. Raises BadFraming."""
    body = follower(length)
    if body.done:
        body.rest = data
        return b"", b"", body
    passed = body.feed(data)
    content = Chunked(bare=True).feed(passed) if length == CHUNKED else passed
    return passed, content, body


def check_request(request: Request, passed: bytes, content: bytes, done: bool) -> None:
    """One request as it is passed on: the same to us, and to another reader."""
    head = sent_head(request)
    check_head(head)
    listed = names(head)
    assert listed.count(b"host") == 1
    assert not {b"content_length", b"transfer_encoding", b"x_forwarded_for"} & set(listed)
    assert value(head, b"x-forwarded-for") == PEER.ip
    again = parse_request(head, 0, Limits(headers=0, header_count=0), PEER, None)
    assert again is not None
    assert again.end == len(head)
    assert (again.method, again.target) == (request.method, request.target)
    assert (again.fields.host, again.length) == (request.fields.host, request.length)
    method, _, rest = head.partition(b" ")
    seen = read_requests(method, rest + passed + (PROBE if done else b""))
    chunked = request.length == CHUNKED
    first = Message(request.target, value(head, b"host"), chunked, content, done)
    second = Message(b"/probe", b"probe.test", False, b"", True)
    if request.fields.upgrade:
        # What follows belongs to the new protocol, if llhttp knows it.
        assert seen.messages[:1] == [first]
        assert seen.messages[1:] in ([], [second])
    else:
        assert seen.messages == ([first, second] if done else [first])


def serve(data: bytes, former: Request | None) -> tuple[int, Request | None]:
    """Like a connection: all requests in `data`; how many were accepted, and the last of them."""
    accepted = 0
    while True:
        try:
            request = parse_request(data, 0, LIMITS, PEER, former)
            assert request == parse_request(data, 0, LIMITS, PEER, None) or former is request
            if request is None:
                return accepted, former
            passed, content, body = follow(request.length, data[request.end :])
        except (Malformed, BadFraming):
            return accepted, former
        check_request(request, passed, content, body.done)
        accepted += 1
        former = request
        if not body.done:
            return accepted, former
        data = body.rest


def verdict(parts: list[bytes]) -> object:
    """What the first request of these reads is, or that it is refused."""
    held, scanned = b"", 0
    for index, part in enumerate(parts):
        held += part
        try:
            request = parse_request(held, scanned, LIMITS, PEER, None)
            if request is None:
                scanned = len(held)
                continue
            body, passed = follower(request.length), b""
            for later in (held[request.end :], *parts[index + 1 :]):
                passed += b"" if body.done else body.feed(later)
        except Malformed:
            return "malformed"
        except BadFraming:
            return "bad framing"
        return sent_head(request), passed, body.done, body.size
    return None


def pieces(rng: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 6)))
    edges = zip([0, *cuts], [*cuts, len(data)], strict=True)
    return [data[start:end] for start, end in edges]


@pytest.mark.rule("RFC 9112 §11.2: one meaning", side="client")
@pytest.mark.rule("RFC 9112 §11.2: any split", side="client")
@pytest.mark.rule("RFC 9112 §11.2: no input raises", side="client")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_request_that_is_passed_on_has_one_meaning_rfc9112_11_2(shard: int) -> None:
    seed = SEED * 1000 + shard
    print(f"seed {seed}")
    rng = random.Random(seed)
    accepted, former = 0, None
    for _ in range(COUNT // SHARDS):
        data = mutated(rng, REQUESTS)
        try:
            count, former = serve(data, former)
            accepted += bool(count)
            if rng.random() < 0.1:
                assert verdict(pieces(rng, data)) == verdict([data]), "it depends on the reads"
        except Exception as error:
            raise AssertionError(f"seed {seed}: {data!r}") from error
    print(f"accepted {accepted} of {COUNT // SHARDS}")
    # Or nothing of the above would have been looked at.
    assert accepted > COUNT // SHARDS // 10


def answer(response: Response, method: bytes) -> bytes:
    """The head as an exchange sends it to a client of HTTP/1.1."""
    head = response.line + response.forward
    if length_of(response, method) == UNTIL_CLOSE:
        head += b"\r\nTransfer-Encoding: chunked"
    return head + b"\r\n\r\n"


def length_of(response: Response, method: bytes) -> int:
    without = response.status in (204, 304) or method == b"HEAD"
    return 0 if without else response.length


def check_answer(data: bytes, former: Response | None) -> Response | None:
    """One answer as it is passed on; None when it is refused or not complete."""
    try:
        response = parse_response(data, former)
        assert response is former or response == parse_response(data, None)
        if response is None or response.status < 200:
            return None
        length = length_of(response, b"GET")
        passed, content, body = follow(length, data[response.end :])
    except (Malformed, BadFraming):
        return None
    head = answer(response, b"GET")
    check_head(head)
    again = parse_response(head, None)
    assert again is not None
    assert (again.status, again.end) == (response.status, len(head))
    if response.length != UNTIL_CLOSE:
        assert again.length == response.length
        status, theirs, done = read_answer(head + passed)
        assert status == response.status
        assert (theirs, done) == (content, body.done)
    return response


@pytest.mark.rule("RFC 9112 §11.2: one meaning", side="replica")
@pytest.mark.rule("RFC 9112 §11.2: no input raises", side="replica")
def test_an_answer_that_is_passed_on_has_one_meaning_rfc9112_11_1() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    accepted, former = 0, None
    count = COUNT // 8
    for _ in range(count):
        data = mutated(rng, ANSWERS)
        try:
            response = check_answer(data, former)
        except Exception as error:
            raise AssertionError(f"seed {SEED}: {data!r}") from error
        if response is not None:
            accepted += 1
            former = response
    assert accepted > count // 10
