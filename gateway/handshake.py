"""TLS handshakes: a client is admitted before its handshake begins, never after.

Whoever has connected counts as a connection from the first moment, with its address, so that
handshakes which never end cost others nothing beyond the limits, and it is closed when
`header_timeout` has passed. A client that may not stay is closed without an answer: to answer it
would take the very handshake that is refused.
"""

import asyncio
import contextlib
import math
import socket
import ssl
from typing import TYPE_CHECKING

from gateway.context import Context
from gateway.downstream import FRESH, Downstream
from gateway.fields import Peer
from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.listener import Listener

_AT_ONCE = 128  # clients accepted in one turn of the loop
_PAUSE = 0.1  # seconds until the next try, after one that failed
_GOODBYE = 2.0  # seconds for a client to confirm that the connection ends (RFC 8446 §6.1)
# The sweep ends handshakes; the loop, which would not count them, has a time of its own.
_AFTER_THE_SWEEP = 1.0
_NEVER = 86400.0


class Acceptor:
    """Takes clients from a listening socket and begins their handshakes."""

    def __init__(
        self,
        context: Context,
        listener: "Listener",
        tls: ssl.SSLContext,
        listening: socket.socket,
    ) -> None:
        """Accepts at once on `listening`, which is ours from now on."""
        self._context = context
        self._listener = listener
        self._tls = tls
        self._listening: socket.socket | None = listening
        listening.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept no more."""
        if self._listening is not None:
            self._context.loop.remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    def welcome(self, connection: socket.socket, host: str) -> None:
        """One that was accepted elsewhere."""
        Handshake(self._context, self._listener, host).begin(connection, self._tls)

    def _resume(self) -> None:
        if self._listening is not None:
            self._context.loop.add_reader(self._listening, self._accept, self._listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, name = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # it has left already
            except OSError:
                # The socket stays readable: without a pause the loop would spin. Mostly there is
                # no descriptor left; accept(2) also tells errors of the network, which pass.
                self._context.loop.remove_reader(listening)
                self._context.loop.call_later(_PAUSE, self._resume)
                return
            connection.setblocking(False)
            self.welcome(connection, name[0])


class Handshake:
    """A client that is not yet there. Has a place among the connections, which it gives to the
    one that it becomes."""

    exchange = None
    __slots__ = ("_connection", "_context", "_listener", "deadline", "peer")

    def __init__(self, context: Context, listener: "Listener", host: str) -> None:
        self._context = context
        self._listener = listener
        self._connection: socket.socket | None = None
        self.deadline = math.inf
        self.peer = listener.peer(host)

    def begin(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        context = self._context
        context.connections.add(self)
        context.sweep.start()
        self._listener.connections += 1
        refusal = context.admission.enter(self.peer, connection)
        if refusal is not None:
            context.unrouted[refusal.status] += 1
            self._leave()
            connection.close()
            return
        self._connection = connection
        timeout = context.limits.header_timeout or _NEVER
        self.deadline = context.loop.time() + timeout
        task = context.loop.create_task(
            self._shake(connection, tls, timeout + _AFTER_THE_SWEEP), name="TLS handshake"
        )
        context.tasks.add(task)
        task.add_done_callback(context.tasks.discard)

    async def _shake(self, connection: socket.socket, tls: ssl.SSLContext, timeout: float) -> None:
        try:
            await self._context.loop.connect_accepted_socket(
                self._become,
                connection,
                ssl=tls,
                ssl_handshake_timeout=timeout,
                ssl_shutdown_timeout=_GOODBYE,
            )
        except OSError:
            pass  # whatever the client did wrong, an alert has told it (RFC 8446 §6.2)
        finally:
            self._connection = None
            self._leave()

    def _become(self) -> Downstream:
        return Downstream(self._context, self)

    # What a connection asks of its listener

    def opened(self, _: asyncio.BaseTransport) -> tuple[Peer, Problem | None]:
        """The handshake is over: all that it held is the connection's now, to be given back."""
        self._connection = None
        self._context.connections.discard(self)
        return self.peer, None

    def closed(self) -> None:
        self._listener.closed()

    # What is asked of a connection

    def expired(self, _: float) -> None:
        """RFC 9110 §15.5.9, though there is nobody to tell it to."""
        self._context.unrouted[408] += 1
        self.abort()

    def drain(self) -> None:
        """It may come to its first request, if it is quick."""
        patience = self._context.patience or FRESH
        self.deadline = min(self.deadline, self._context.loop.time() + patience)

    def give_way(self, _: float) -> None:
        """It is refused when it is through, by its first request."""

    def abort(self) -> None:
        """As if the client had left; the task notices and leaves."""
        self.deadline = math.inf
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def _leave(self) -> None:
        context = self._context
        if self in context.connections:
            context.connections.discard(self)
            context.admission.leave(self.peer)
            self._listener.closed()
            if not context.connections:
                context.emptied.set()
