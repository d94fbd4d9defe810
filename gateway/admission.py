"""Who may come in: so many clients, so many of one address, and never on the last descriptors."""

import socket
from typing import TYPE_CHECKING

from cluster import descriptors
from gateway import problems
from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.context import Context
    from gateway.fields import Peer


class Admission:
    """Counts connections by address. Every `enter` has its `leave`, refused or not.

    With several gateway processes a limit is on their sum: told first, then asked for.
    """

    __slots__ = ("_by_client", "_context", "_counts", "_descriptors")

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._counts: dict[bytes, int] = {}
        self._descriptors = descriptors.for_clients()
        self._by_client = False  # whether the others are told of clients' addresses

    def limited(self) -> None:
        """The limits were set anew."""
        everyone = self._context.everyone
        if everyone is None or self._by_client or not self._context.limits.connections_per_client:
            return
        self._by_client = True
        for ip, count in self._counts.items():
            everyone.clients.tell(ip, count)

    def enter(self, peer: "Peer", connection: socket.socket | None) -> Problem | None:
        """Why it cannot stay, if so."""
        self._context.crowd.look()
        count = self._counts[peer.ip] = self._counts.get(peer.ip, 0) + 1
        limits = self._context.limits
        refusal = problems.MEMORY_PRESSURE if self._context.crowd.is_shedding else None
        present, everyone = len(self._context.connections), self._context.everyone
        if everyone is not None:
            everyone.connections.tell(present)
            present = everyone.connections.total()
            if self._by_client:
                everyone.clients.tell(peer.ip, count)
                count = everyone.clients.total(peer.ip, count)
        if limits.connections and present > limits.connections:
            return problems.TOO_MANY_CONNECTIONS
        own = limits.connections_per_client
        # A proxy that we trust stands for many clients.
        if own and count > own and not peer.trusted:
            return problems.TOO_MANY_OF_CLIENT
        if connection is not None and connection.fileno() >= self._descriptors:
            return problems.NO_DESCRIPTOR
        return refusal

    def leave(self, peer: "Peer") -> None:
        self._context.crowd.look()
        count = self._counts.pop(peer.ip) - 1
        if count:
            self._counts[peer.ip] = count
        everyone = self._context.everyone
        if everyone is not None:
            everyone.connections.tell(len(self._context.connections))
            if self._by_client:
                everyone.clients.tell(peer.ip, count)
