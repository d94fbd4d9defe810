"""A client whose handshake fails is told why, by an alert (RFC 8446 §6.2).

OpenSSL has the alert ready, but the event loops drop it with the connection, and the client would
only see that it was cut. They do send what is ready when a handshake waits for more from the
client; so one that has failed waits, and fails for good with the next that comes: mostly the end,
as every client leaves on a fatal alert, at the latest with its time for the handshake.
"""

import ssl


class _Alerting(ssl.SSLObject):
    ready: ssl.MemoryBIO
    _has_failed = False

    def do_handshake(self) -> None:
        if self._has_failed:
            raise ssl.SSLError("the handshake has failed")
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if not self.ready.pending:
                raise
            self._has_failed = True
            raise ssl.SSLWantReadError from error


class AlertingContext(ssl.SSLContext):
    """For servers of asyncio and uvloop."""

    sslobject_class = _Alerting

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        wrapped = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(wrapped, _Alerting)
        wrapped.ready = outgoing
        return wrapped
