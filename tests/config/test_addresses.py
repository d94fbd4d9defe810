"""Addresses and patterns in their settled form. What is refused is in refusals.txt."""

import pytest

from config import addresses


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        (":8080", "0.0.0.0:8080"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("localhost:80", "localhost:80"),
        ("[::1]:80", "[::1]:80"),
        ("[0:0::1]:80", "[::1]:80"),
    ],
)
def test_where_to_listen(text: str, settled: str) -> None:
    assert addresses.listen(text) == settled


@pytest.mark.parametrize(
    "text", ["", "80", "a:b", "::1:80", "[::g]:80", "a b:80", "a:-1", "a:٣", "[a]:1"]
)
def test_where_nobody_can_listen(text: str) -> None:
    with pytest.raises(ValueError, match='must be "host:port" or ":port"'):
        addresses.listen(text)


@pytest.mark.parametrize(
    ("pattern", "settled"),
    [
        ("Web.Example.COM.", "web.example.com"),
        ("*.example.com", "*.example.com"),
        ("*", "*"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("my_host", "my_host"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_host_patterns(pattern: str, settled: str) -> None:
    assert addresses.host_pattern(pattern) == settled


@pytest.mark.parametrize("pattern", ["", ".", "a..b", "-a.b", "**", "*.*.b", "a*", "a b", "a" * 64])
def test_what_no_host_matches(pattern: str) -> None:
    with pytest.raises(ValueError, match="must be a host"):
        addresses.host_pattern(pattern)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("[::]:80", "127.0.0.1:80", True),
        ("localhost:80", "127.0.0.1:80", True),
        ("10.0.0.1:80", "10.0.0.2:80", False),
        ("0.0.0.0:80", "0.0.0.0:81", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_two_listeners_on_one_port(one: str, other: str, clash: bool) -> None:
    assert addresses.overlap(one, other) is clash
    assert addresses.overlap(other, one) is clash


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("web", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, only_here: bool) -> None:
    assert addresses.is_loopback(host) is only_here


@pytest.mark.parametrize(
    ("cidr", "settled"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.1", "10.0.0.1/32"), ("::1", "::1/128")],
)
def test_networks(cidr: str, settled: str) -> None:
    assert addresses.network(cidr) == settled


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a.b/c~", "/%C3%A9", "/a/..b", "/@x:1"])
def test_beginnings_of_paths(path: str) -> None:
    assert addresses.url_path(path) == path


def test_a_probe_may_ask_with_a_query() -> None:
    assert addresses.request_target("/ready?full=1") == "/ready?full=1"
    with pytest.raises(ValueError, match="percent-encoded"):
        addresses.request_target("/ready?a b")
