"""Sockets that accept clients."""

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cluster.model import Address
from config.settings import Gateway, TlsListener
from gateway.certificates import BadCertificate, Certificates
from gateway.context import Context
from gateway.downstream import Downstream
from gateway.fields import Peer
from gateway.handshake import Acceptor
from gateway.problems import Problem
from gateway.redirect import Redirected

_BACKLOG = 4096

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ListenError(Exception):
    """An address cannot be listened on; the text says which, why and what to do."""


def trusted_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """From CIDRs or addresses. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


class Listener:
    """One listening socket and the connections that came through it."""

    def __init__(
        self,
        context: Context,
        trusted: tuple[Network, ...],
        certificates: Certificates | None = None,
        secure: "Listener | None" = None,
    ) -> None:
        """With certificates it is one for HTTPS; with `secure`, all are sent there."""
        self._context = context
        self._server: asyncio.AbstractServer | Acceptor | None = None
        self._listening: socket.socket | None = None  # the same, by a descriptor of our own
        self._secure = secure
        self.certificates = certificates
        self._proto = b"http" if certificates is None else b"https"
        self.trusted = trusted
        self.connections = 0
        self.address = Address("", 0)
        self._authority = b""

    async def open(self, listening: socket.socket) -> Address:
        """Accept on a bound socket, which is ours from now on."""
        host, port = listening.getsockname()[:2]
        self.address = Address(host, port)
        # Stands in for the Host that HTTP/1.0 may leave out; it is none to send a client to.
        self._authority = b"" if self._secure else str(self.address).encode()
        try:
            self._listening = copy_of(listening)
            self._server = await self._accept(listening)
        except BaseException:
            listening.close()
            raise
        return self.address

    async def _accept(self, listening: socket.socket) -> asyncio.AbstractServer | Acceptor:
        if self.certificates is not None:
            return Acceptor(self._context, self, self.certificates.context, listening)
        return await self._context.loop.create_server(self._greet, sock=listening, backlog=_BACKLOG)

    def _greet(self) -> Downstream:
        if self._secure is not None:
            return Redirected(self._context, self, self._secure)
        return Downstream(self._context, self)

    @property
    def listening(self) -> socket.socket | None:
        """What it accepts on, while it does."""
        return self._listening

    def close(self) -> None:
        """Accept those who have connected already, and no more; connections live on."""
        if self._server is None or self._listening is None:
            return
        server, self._server = self._server, None
        server.close()
        with self._listening as listening:
            self._accept_the_rest(listening, server)
        self._listening = None

    def _accept_the_rest(
        self, listening: socket.socket, server: asyncio.AbstractServer | Acceptor
    ) -> None:
        """The kernel resets whoever waits in the backlog of a socket that is closed for good."""
        for _ in range(_BACKLOG):
            try:
                connection, name = listening.accept()
            except OSError:
                return
            connection.setblocking(False)
            if isinstance(server, Acceptor):
                server.welcome(connection, name[0])
            else:
                self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> None:
        context = self._context
        task = context.loop.create_task(self._take(connection), name="accept the last")
        context.tasks.add(task)
        task.add_done_callback(context.tasks.discard)

    async def _take(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it has left
            await self._context.loop.connect_accepted_socket(self._greet, connection)

    def opened(self, transport: asyncio.BaseTransport) -> tuple[Peer, Problem | None]:
        """A plain client; those of TLS come by their Handshake."""
        self.connections += 1
        name = transport.get_extra_info("peername")
        peer = self.peer(name[0] if name else "127.0.0.1")
        return peer, self._context.admission.enter(peer, transport.get_extra_info("socket"))

    def peer(self, host: str) -> Peer:
        """Who comes from that address."""
        host = host.removeprefix("::ffff:")
        trusted = bool(self.trusted) and _is_within(host, self.trusted)
        return Peer(host.encode(), self._proto, trusted, self._authority)

    def closed(self) -> None:
        self.connections -= 1


def wanted(settings: Gateway) -> list[str]:
    """All addresses to listen on: plain ones, those of TLS, those that send clients there."""
    redirects = (address for one in settings.tls for address in one.redirect)
    return [*settings.listen, *(one.listen for one in settings.tls), *redirects]


def names_of(texts: Sequence[str]) -> list[str]:
    """One for each: the same port 0 may be asked for more than once."""
    return [
        f"{text}, {n}" if (n := texts[:at].count(text)) else text for at, text in enumerate(texts)
    ]


def certificates_of(listener: TlsListener) -> Certificates:
    """Raises ListenError."""
    try:
        return Certificates(listener.certificates)
    except BadCertificate as bad:
        raise ListenError(f"cannot listen on {listener.listen}: {bad}") from bad


def staying(former: Gateway, asked: Gateway) -> Gateway:
    """What is asked for, as far as it can be had without a restart: sockets stay as they are, and
    only their certificates change."""
    present = {listener.listen: listener.certificates for listener in asked.tls}
    tls = tuple(
        one.model_copy(update={"certificates": present.get(one.listen, one.certificates)})
        for one in former.tls
    )
    return asked.model_copy(update={"listen": former.listen, "tls": tls})


Given = Mapping[str, Sequence[socket.socket]]


def copy_of(one: socket.socket) -> socket.socket:
    """Another descriptor. `dup` would make both block when `one` came without a timeout, and with
    them that of any other process that accepts there: the flag is one for all."""
    copy = socket.socket(fileno=os.dup(one.fileno()))
    copy.setblocking(False)
    return copy


def bind_all(texts: Sequence[str], given: Given = MappingProxyType({})) -> list[socket.socket]:
    """All of them or none. `given` are sockets that listen already, by their `names_of`;
    copies of them stand in for binding. Raises ListenError."""
    with contextlib.ExitStack() as bound:
        sockets = [
            bound.enter_context(copy_of(given[name][0]) if given.get(name) else bind(text))
            for name, text in zip(names_of(texts), texts, strict=True)
        ]
        bound.pop_all()
    return sockets


def bind_for_many(
    texts: Sequence[str], count: int, given: Given = MappingProxyType({})
) -> list[list[socket.socket]]:
    """For each of `count` processes its own sockets, all on the same ports: the kernel spreads
    the connections (SO_REUSEPORT). All of them or none. Raises ListenError.
    """
    with contextlib.ExitStack() as bound:
        columns = [
            _bind_shared(text, count, bound, given.get(name, ()))
            for name, text in zip(names_of(texts), texts, strict=True)
        ]
        bound.pop_all()
    return [list(row) for row in zip(*columns, strict=True)]


def _bind_shared(
    text: str, count: int, bound: contextlib.ExitStack, given: Sequence[socket.socket]
) -> list[socket.socket]:
    if given:
        return [bound.enter_context(_another(text, given, number)) for number in range(count)]
    # Another program of this user that shares the port would go unnoticed: first try without.
    with bind(text) as alone:
        family, name = alone.family, alone.getsockname()
    try:
        return [bound.enter_context(_bound(family, name, shared=True)) for _ in range(count)]
    except OSError as error:
        raise _refusal(text, error) from error


def _another(text: str, given: Sequence[socket.socket], number: int) -> socket.socket:
    """A copy of a given one; beyond these a new one, or one that two processes accept on."""
    if number < len(given):
        return copy_of(given[number])
    former = given[number % len(given)]
    if not former.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        return copy_of(former)
    try:
        return _bound(former.family, former.getsockname(), shared=True)
    except OSError as error:
        raise _refusal(text, error) from error


def bind(text: str) -> socket.socket:
    """A bound socket for `host:port`, `[::1]:port` or `:port`. Raises ListenError."""
    try:
        address = Address.parse(text if not text.startswith(":") else f"*{text}")
        if address.host == "*":
            return _bind_everywhere(address.port)
        family, _, _, _, name = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _bound(family, name)
    except (OSError, ValueError) as error:
        raise _refusal(text, error) from error


def _refusal(text: str, error: OSError | ValueError) -> ListenError:
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
    return ListenError(
        f"cannot listen on {text}: {reason}; stop what uses it, "
        "or change gateway.listen or gateway.tls"
    )


def _bind_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return _bound(socket.AF_INET6, ("::", port))
    return _bound(socket.AF_INET, ("0.0.0.0", port))


def _bound(family: int, name: object, *, shared: bool = False) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(name[0] != "::"))  # type: ignore[index]
        listening.setblocking(False)
        listening.bind(name)  # type: ignore[arg-type]
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _is_within(host: str, networks: tuple[Network, ...]) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    return any(address in network for network in networks)
