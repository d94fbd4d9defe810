"""Requests that neither wake a service nor keep it awake, and what they get while it sleeps.

Pure. A monitor's look or a scanner's is not use. Which requests those are is the operator's to say:
by parts of User-Agent in any case, by beginnings of paths, compared as routing compares them, by
the client's network, or by method. Any of them is enough. Nothing here is a regular expression of
somebody else's, so no request is slow to judge.
"""

import ipaddress
from collections.abc import Sequence
from http import HTTPStatus

from config.wake import Ignored, StaticAnswer
from gateway import grammar
from gateway.fields import Peer
from gateway.head import Request
from gateway.routing import normal_path

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address

_USER_AGENT = grammar.named_field(b"user-agent")
_FORWARDED_FOR = grammar.named_field(b"x-forwarded-for")
_BODILESS = (204, 304)  # RFC 9110 §6.4.1


class Matcher:
    """What one service ignores. Parts that are not configured cost nothing."""

    __slots__ = ("_agents", "_methods", "_networks", "_paths")

    def __init__(self, ignored: Ignored) -> None:
        self._agents = tuple(part.lower().encode() for part in ignored.user_agents)
        self._paths = tuple(normal_path(path.encode()).rstrip(b"/") for path in ignored.paths)
        self._networks = tuple(ipaddress.ip_network(network) for network in ignored.networks)
        # RFC 9110 §9.1: methods are case-sensitive.
        self._methods = frozenset(method.encode() for method in ignored.methods)

    def matches(self, request: Request, peer: Peer, trusted: Sequence[Network]) -> bool:
        """`trusted` are the proxies that are believed who their client is."""
        if request.method in self._methods:
            return True
        if self._paths and self._is_below(normal_path(request.target)):
            return True
        if self._agents and self._has_agent(request.raw):
            return True
        return bool(self._networks) and self._is_from(request, peer, trusted)

    def _is_below(self, path: bytes) -> bool:
        """A whole segment or nothing: /health does not begin /healthy."""
        return any(
            path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/")
            for prefix in self._paths
        )

    def _has_agent(self, head: bytes) -> bool:
        values = [value.lower() for value in _USER_AGENT.findall(head)]
        return any(part in value for value in values for part in self._agents)

    def _is_from(self, request: Request, peer: Peer, trusted: Sequence[Network]) -> bool:
        address = client_address(peer, request.raw, trusted)
        return address is not None and any(address in network for network in self._networks)


def client_address(peer: Peer, head: bytes, trusted: Sequence[Network]) -> _IP | None:
    """Who asks. What a trusted proxy says of its client is believed, from the nearest proxy on to
    the first that is not trusted; whoever that is may have written anything before it."""
    address = _ip(peer.ip)
    if not peer.trusted:
        return address
    chain = b",".join(_FORWARDED_FOR.findall(head)).split(b",")
    for hop in reversed(chain):
        named = _ip(hop.strip(b" \t"))
        if named is None:
            break
        address = named
        if not any(named in network for network in trusted):
            break
    return address


def _ip(text: bytes) -> _IP | None:
    """An address; some proxies write its port, too (`10.0.0.1:80`, `[::1]:80`)."""
    if text.startswith(b"["):
        text = text[1:].partition(b"]")[0]
    elif text.count(b":") == 1:
        text = text.partition(b":")[0]
    try:
        address = ipaddress.ip_address(text.decode("ascii", "replace"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def answer(static: StaticAnswer, *, date: bytes, head: bool, close: bool, minor: int) -> bytes:
    """The whole static answer. `head`: it answers HEAD, so its body is only described."""
    body = static.body.encode()
    try:
        phrase = HTTPStatus(static.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {static.status} {phrase}", f"Date: {date.decode()}"]
    lines += [f"{name}: {value}" for name, value in static.headers]
    if static.status in _BODILESS:
        body = b""
    else:
        lines.append(f"Content-Length: {len(body)}")
        if body and not any(name.lower() == "content-type" for name, _ in static.headers):
            lines.append("Content-Type: text/plain; charset=utf-8")
    if close:
        lines.append("Connection: close")
    elif not minor:
        lines.append("Connection: keep-alive")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else body)
