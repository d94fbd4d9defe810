"""Which certificate a TLS listener shows to whom, and how it is changed while it runs.

Chosen by the name that the client asks for (SNI, RFC 6066 §3): the name itself, then a wildcard
for its first label (RFC 9525 §6.3), then the first certificate of the list. The process that
shows them reads their files itself: no key ever stands in a message between processes.

The Host of a request may be another name than that: clients use a connection for whatever its
certificate is good for, and no name here asks more of a client than another. nginx and Caddy answer
421 (RFC 9110 §15.5.20) only where one does, by asking for certificates of clients.
"""

import os
import ssl
from collections.abc import Mapping, Sequence

from config.certificates import BadCertificate, context_of, names_of, server_context
from config.settings import Certificate
from gateway.alerts import AlertingContext

__all__ = ["BadCertificate", "Certificates"]

# Of each of the two files; another one means that it was written anew.
_Version = tuple[tuple[int, int, int], ...]


class Certificates:
    """`context` stays the same for the life of its listener; what it shows is replaced."""

    def __init__(self, wanted: Sequence[Certificate]) -> None:
        """Raises BadCertificate."""
        self._open: dict[Certificate, tuple[_Version, ssl.SSLContext, tuple[str, ...]]] = {}
        self._shown = _Shown()
        self.load(wanted)
        self.context = server_context(AlertingContext)
        # Not a method of ours, which would be a cycle that only the collector ends.
        self.context.sni_callback = self._shown.choose

    def load(self, wanted: Sequence[Certificate]) -> None:
        """Take over these, read anew where their files have changed: all of them or none.

        Connections keep what they were shown. Raises BadCertificate.
        """
        opened = {one: self._opened(one) for one in wanted}
        named: dict[str, ssl.SSLContext] = {}
        for _, context, names in opened.values():
            for name in names:
                named.setdefault(name, context)
        self._open = opened
        self._shown.named, self._shown.first = named, opened[wanted[0]][1]

    def find(self, name: str | None) -> ssl.SSLContext:
        """What to show to a client that asks for `name`, or for none."""
        return self._shown.find(name)

    def _opened(self, one: Certificate) -> tuple[_Version, ssl.SSLContext, tuple[str, ...]]:
        # Looked at before it is read: what is written in between is read again the next time.
        version = _version(one)
        former = self._open.get(one)
        if former is not None and former[0] == version:
            return former
        return version, context_of(one.cert, one.key), names_of(one.cert)


class _Shown:
    """What there is to choose from."""

    first: ssl.SSLContext
    named: Mapping[str, ssl.SSLContext]

    def find(self, name: str | None) -> ssl.SSLContext:
        name = (name or "").lower()
        found = self.named.get(name) or self.named.get(f"*.{name.partition('.')[2]}")
        return found or self.first

    def choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> None:
        connection.context = self.find(name)


def _version(one: Certificate) -> _Version:
    """Raises BadCertificate."""
    try:
        stats = os.stat(one.cert), os.stat(one.key)
    except OSError as error:
        raise BadCertificate("cert", f"{error.filename}: {error.strerror}") from None
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)
