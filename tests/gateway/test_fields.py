"""Fields: what is dropped, kept and added (RFC 9110 §7.6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import grammar
from gateway.fields import (
    Found,
    Malformed,
    Peer,
    canonical_host,
    forward_request,
    forward_response,
    request_fields,
    response_fields,
)
from gateway.framing import CHUNKED, UNTIL_CLOSE

STRANGER = Peer(b"10.0.0.9")
PROXY = Peer(b"10.0.0.9", trusted=True)


def block(*lines: str) -> bytes:
    return "".join(f"\r\n{line}" for line in ("Host: a.test", *lines)).encode()


def found(*lines: str) -> Found:
    return grammar.REQUEST_FIELDS.findall(block(*lines))


def forward(*lines: str, peer: Peer = STRANGER, minor: int = 1) -> bytes:
    fields = request_fields(found(*lines), minor, peer)
    return forward_request(block(*lines), fields.forwarding)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        (b"A.Test", b"a.test"),
        (b"a.test:80", b"a.test"),
        (b"a.test.:80", b"a.test"),
        (b"[::1]:80", b"[::1]"),
        (b"[FE80::1]", b"[fe80::1]"),
    ],
)
def test_hosts_have_one_spelling(authority: bytes, host: bytes) -> None:
    assert canonical_host(authority) == host


@pytest.mark.rule("RFC 9110 §5.3: order of fields", side="client")
@given(st.lists(st.sampled_from(["A: 1", "B_c:  x ", "a: 2", "Accept:", "Cookie: x=y"])))
def test_other_lines_pass_unchanged_and_in_order(lines: list[str]) -> None:
    assert forward(*lines).startswith(block(*lines))


@pytest.mark.rule("RFC 7239 §8.1: a stranger's Forwarded", side="client")
@pytest.mark.parametrize(
    "line",
    [
        "Forwarded: for=1.1.1.1",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Client-Cert: By=x",
        "x_forwarded_host: 1.1.1.1",
        "X-Forwarded_For: 1.1.1.1",
        "X-Real-IP: 1.1.1.1",
        "X_Real_IP: 1.1.1.1",
        "X-Request-ID: 1",
    ],
)
def test_a_stranger_forwards_nothing(line: str) -> None:
    assert forward(line) == forward()


@pytest.mark.rule("RFC 7239 §8.1: disguised fields", side="client")
@pytest.mark.parametrize(
    "line", ["X_Forwarded_For: 1.1.1.1", "X-Forwarded-Evil: 1", "X_Request_Id: a\x80"]
)
def test_even_a_proxy_forwards_only_the_known(line: str) -> None:
    assert line.encode() not in forward(line, peer=PROXY)


@pytest.mark.rule("Tidegate: X-Request-Id", side="client")
def test_a_long_request_id_is_replaced() -> None:
    line = "X-Request-Id: " + "a" * 200
    assert request_fields(found(line), 1, PROXY).request_id == b""
    assert b"aaa" not in forward(line, peer=PROXY)


@pytest.mark.rule("RFC 9110 §7.6.1: what Connection cannot remove", side="client")
@pytest.mark.parametrize("name", ["Host", "Content-Length", "Cookie", "Authorization", "Via"])
def test_connection_cannot_remove_what_others_rely_on_rfc9110_7_6_1(name: str) -> None:
    line = f"{name}: 5" if name != "Host" else "Cookie: 5"
    assert f"\r\n{line}\r\n".encode() in forward(line, f"Connection: {name}")


@pytest.mark.rule("RFC 9110 §7.6.1: nominated fields", side="client")
def test_many_nominated_fields_cost_linear_time() -> None:
    names = [f"n{i}" for i in range(20_000)]
    assert b"n19999" not in forward("Connection: " + ",".join(names), "n19999: x")


@pytest.mark.rule("RFC 9110 §7.6.3: Via", side="client")
@pytest.mark.rule("RFC 9110 §7.6.3: loops", side="client")
def test_via_is_appended_and_loops_end_rfc9110_7_6_3() -> None:
    assert forward("Via: 1.1 other").endswith(b"\r\nVia: 1.1 tidegate")
    assert b"\r\nVia: 1.1 other\r\n" in forward("Via: 1.1 other")
    with pytest.raises(Malformed) as refused:
        forward(*["Via: 1.1 tidegate, 1.0 tidegate"] * 4)
    assert refused.value.status == 508


@pytest.mark.rule("RFC 9112 §9.3: persistence", side="client")
@pytest.mark.parametrize(
    ("lines", "minor", "keep_alive"),
    [
        ([], 1, True),
        ([], 0, False),
        (["Connection: close"], 1, False),
        (["Connection: Keep-Alive"], 0, True),
        (["Connection: foo, CLOSE"], 1, False),
        (["Connection: keep-alive", "Connection: close"], 1, False),
    ],
)
def test_persistence_rfc9112_9_3(lines: list[str], minor: int, keep_alive: bool) -> None:
    assert request_fields(found(*lines), minor, STRANGER).fields.keep_alive is keep_alive


@pytest.mark.rule("RFC 9110 §10.1.1: expectation of HTTP/1.0", side="client")
def test_expectations_of_1_0_are_ignored_rfc9110_10_1_1() -> None:
    assert b"Expect" not in forward("Expect: 100-continue", minor=0)
    assert b"\r\nExpect: 100-continue" in forward("Expect: 100-continue")


@pytest.mark.rule("RFC 9110 §7.8: upgrades", side="client")
def test_an_upgrade_needs_its_connection_option_rfc9110_7_8() -> None:
    asked = request_fields(found("Connection: upgrade", "Upgrade: websocket"), 1, STRANGER)
    assert asked.fields.upgrade == b"websocket"
    assert request_fields(found("Upgrade: websocket"), 1, STRANGER).fields.upgrade == b""
    old = request_fields(found("Connection: upgrade", "Upgrade: x"), 0, STRANGER)
    assert old.fields.upgrade == b""


@pytest.mark.parametrize(
    ("lines", "minor", "length"),
    [
        (b"", 1, UNTIL_CLOSE),
        (b"\r\nContent-Length: 007", 1, 7),
        (b"\r\ntransfer-encoding: Chunked", 1, CHUNKED),
    ],
)
def test_the_length_of_an_answer_rfc9112_6_3(lines: bytes, minor: int, length: int) -> None:
    fields = response_fields(grammar.RESPONSE_FIELDS.findall(lines), minor)
    assert fields.length == length
    assert forward_response(lines + b"\r\nA: b", fields.forwarding) == lines + b"\r\nA: b"
