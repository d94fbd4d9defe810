"""Plain HTTP that is answered with the way to HTTPS.

308 for every method (RFC 9110 §15.4.9), so that a client asks again with the same method and body.
The heads of requests are read as strictly as all others, so that nothing in the name or the target
of a request can end the line that repeats it. Bodies are not kept: a client that sends more of one
reads its answer and is closed, as with any other request that is not passed on.
"""

from typing import TYPE_CHECKING

from gateway import own_answers, uploads
from gateway.context import Context
from gateway.downstream import Downstream
from gateway.fields import Malformed
from gateway.head import Request

if TYPE_CHECKING:
    from gateway.listener import Listener

_HTTPS = 443


class Redirected(Downstream):
    """A client's connection on which nothing is served; `secure` is who speaks HTTPS."""

    __slots__ = ("_secure",)

    def __init__(self, context: Context, listener: "Listener", secure: "Listener") -> None:
        super().__init__(context, listener)
        self._secure = secure

    def _begin(self, request: Request) -> None:
        way = location(request.fields.host, request.target, self._secure.address.port)
        self.keep_alive = request.fields.keep_alive
        if request.length:
            uploads.begin(self, request.length)
        self.keep_alive = self.may_stay()
        own_answers.count(self, 308, request)
        self.transport.write(answer(way, request.minor, self.keep_alive, self.context.date))
        self.done(self.context.loop.time())


def location(host: bytes, target: bytes, port: int) -> bytes:
    """The same resource on an HTTPS port, its path and query byte for byte.

    `host` is without port. Of `OPTIONS *` it is the authority alone (RFC 9112 §3.2.4). Raises
    Malformed when there is no name to send the client to, as HTTP/1.0 allows.
    """
    if not host:
        raise Malformed(400, "bad-host", "The request names no host to be sent to.")
    authority = host if port == _HTTPS else b"%b:%d" % (host, port)
    return b"https://" + authority + (b"" if target == b"*" else target)


def answer(way: bytes, minor: int, keep_alive: bool, date: bytes) -> bytes:
    """The whole answer to a request of HTTP/1.`minor`."""
    connection = b""
    if not keep_alive:
        connection = b"Connection: close\r\n"
    elif not minor:
        connection = b"Connection: keep-alive\r\n"
    return (
        b"HTTP/1.1 308 Permanent Redirect\r\nDate: %b\r\nLocation: %b\r\nContent-Length: 0\r\n"
        b"%b\r\n" % (date, way, connection)
    )
