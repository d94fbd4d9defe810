"""Which requests are ignored, and what they get."""

import ipaddress
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Limits
from config.wake import Ignored, StaticAnswer
from gateway.fields import Peer
from gateway.head import Request, parse_request
from gateway.ignored import Matcher, answer, client_address
from gateway.routing import normal_path
from tests.support.raw_http import get

STRANGER = Peer(b"203.0.113.9")
PROXY = Peer(b"10.0.0.1", trusted=True)
TRUSTED = (ipaddress.ip_network("10.0.0.0/8"),)


def asked(path: str = "/", *lines: str, method: str = "GET", peer: Peer = STRANGER) -> Request:
    request = parse_request(get(path, *lines, method=method), 0, Limits(), peer, None)
    assert request is not None
    return request


def ignores(ignored: Mapping[str, object], request: Request, peer: Peer = STRANGER) -> bool:
    return Matcher(Ignored.model_validate(ignored)).matches(request, peer, TRUSTED)


@pytest.mark.parametrize(
    ("ignored", "path", "lines", "method", "expected"),
    [
        ({}, "/", (), "GET", False),
        ({"methods": ["HEAD"]}, "/", (), "HEAD", True),
        ({"methods": ["HEAD"]}, "/", (), "GET", False),
        ({"methods": ["head"]}, "/", (), "HEAD", False),  # RFC 9110 §9.1
        ({"user_agents": "UptimeRobot"}, "/", ("User-Agent: x uptimerobot/2.0",), "GET", True),
        ({"user_agents": "uptimerobot"}, "/", ("user-agent:UPTIMEROBOT",), "GET", True),
        ({"user_agents": "robot"}, "/", ("X-User-Agent: robot",), "GET", False),
        ({"user_agents": "robot"}, "/robot", ("Referer: robot",), "GET", False),
        ({"user_agents": "b"}, "/", ("User-Agent: a", "User-Agent: b"), "GET", True),
        ({"user_agents": ".*"}, "/", ("User-Agent: anything",), "GET", False),
        ({"user_agents": "(a+)+$"}, "/", ("User-Agent: (A+)+$",), "GET", True),
        ({"user_agents": "robot"}, "/", (), "GET", False),
        ({"paths": "/healthz"}, "/healthz", (), "GET", True),
        ({"paths": "/healthz/"}, "/healthz?full=1", (), "GET", True),
        ({"paths": "/healthz"}, "/healthz/live", (), "GET", True),
        ({"paths": "/healthz"}, "/healthzy", (), "GET", False),
        ({"paths": "/healthz"}, "/a/healthz", (), "GET", False),
        # As routing reads them (RFC 3986 §6.2.2, §5.2.4).
        ({"paths": "/healthz"}, "/%68ealthz", (), "GET", True),
        ({"paths": "/healthz"}, "//x/..//healthz", (), "GET", True),
        ({"paths": "/healthz"}, "/healthz/../buy", (), "GET", False),
        ({"paths": "/"}, "/anything", (), "GET", True),
        ({"paths": "/a", "methods": "PUT"}, "/b", (), "PUT", True),  # any is enough
    ],
)
def test_what_is_ignored(
    ignored: Mapping[str, object], path: str, lines: tuple[str, ...], method: str, expected: bool
) -> None:
    assert ignores(ignored, asked(path, *lines, method=method)) is expected


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        (b"192.0.2.7", "", True),
        (b"198.51.100.7", "", False),
        (b"198.51.100.7", "192.0.2.7", False),  # a stranger's word
        (b"10.0.0.1", "192.0.2.7", True),
        (b"10.0.0.1", "198.51.100.7, 192.0.2.7", True),
        (b"10.0.0.1", "192.0.2.7, 198.51.100.7", False),  # the first may say what it likes
        (b"10.0.0.1", "192.0.2.7, 10.0.0.2", True),  # through two proxies
        (b"10.0.0.1", "192.0.2.7, garbage", False),
        (b"10.0.0.1", "192.0.2.7:4711", True),
        (b"10.0.0.1", "::ffff:192.0.2.7", True),
        (b"10.0.0.1", "[2001:db8::1]:443", True),
        (b"::ffff:192.0.2.7", "", True),
        (b"10.0.0.1", "", False),
    ],
)
def test_networks_are_those_of_the_client(peer: bytes, forwarded: str, expected: bool) -> None:
    who = Peer(peer, trusted=peer == b"10.0.0.1")
    lines = (f"X-Forwarded-For: {forwarded}",) if forwarded else ()
    ignored = {"networks": ["192.0.2.0/24", "2001:db8::/32"]}
    assert ignores(ignored, asked("/", *lines, peer=who), who) is expected


def test_several_fields_are_one_chain() -> None:
    """RFC 9110 §5.3."""
    head = get("/", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 10.9.9.9")
    assert client_address(PROXY, head, TRUSTED) == ipaddress.ip_address("192.0.2.7")


@given(st.binary(max_size=60))
def test_no_chain_raises(chain: bytes) -> None:
    client_address(PROXY, b"GET / HTTP/1.1\r\nX-Forwarded-For: " + chain + b"\r\n\r\n", TRUSTED)


@given(st.text("/.%2eabAB\\", min_size=1, max_size=20), st.sampled_from(["/a", "/a/b", "/"]))
def test_paths_are_compared_as_routing_compares_them(path: str, prefix: str) -> None:
    """The same answer for a target and for its normal form."""
    target = "/" + path
    normal = normal_path(target.encode())
    expected = prefix == "/" or (normal + b"/").startswith(prefix.encode() + b"/")
    assert ignores({"paths": prefix}, asked(target.replace("\\", "/"))) is expected


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=10),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
)
def test_agents_are_parts_and_no_patterns(part: str, agent: str) -> None:
    request = asked("/", f"User-Agent: {agent}")
    assert ignores({"user_agents": [part]}, request) is (part.lower() in agent.lower())


# The answer


@pytest.mark.parametrize("head", [False, True])
def test_the_answer_is_framed_by_us(head: bool) -> None:
    static = StaticAnswer(status=503, headers={"Retry-After": "5"}, body="asleep ☾")
    data = answer(static, date=b"today", head=head, close=False, minor=1)
    top, _, body = data.partition(b"\r\n\r\n")
    size = len("asleep ☾".encode())
    assert top.split(b"\r\n") == [
        b"HTTP/1.1 503 Service Unavailable",
        b"Date: today",
        b"Retry-After: 5",
        b"Content-Length: %d" % size,
        b"Content-Type: text/plain; charset=utf-8",
    ]
    assert len(body) == (0 if head else size)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_body_has_no_length(status: int) -> None:
    """RFC 9110 §8.6, §15.3.5."""
    static = StaticAnswer(status=status, body="never sent")
    data = answer(static, date=b"d", head=False, close=True, minor=1)
    assert re.fullmatch(
        rb"HTTP/1.1 %d [ \w]+\r\nDate: d\r\nConnection: close\r\n\r\n" % status, data
    )


def test_a_status_without_a_name_has_none() -> None:
    static = StaticAnswer(status=299)
    data = answer(static, date=b"d", head=False, close=False, minor=0)
    assert data.startswith(b"HTTP/1.1 299 \r\n")
    assert b"\r\nConnection: keep-alive\r\n" in data
