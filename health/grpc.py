"""One call of grpc.health.v1.Health/Check, as bytes in and bytes out.

Pure; h2 speaks HTTP/2. The two messages have one field each, so they are written and read here
rather than by a code generator (the protocol: grpc/doc/health-checking.md).
"""

from collections.abc import Iterable
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

LIMIT = 4 * 1024
_SETTINGS = 4
_FOREIGN = "sent something that is not HTTP/2 without TLS"
_SERVING = 1
_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
# The codes of gRPC that a health service answers with.
_CODES = {
    "4": "DEADLINE_EXCEEDED",
    "5": "NOT_FOUND: it does not know that service",
    "12": "UNIMPLEMENTED: it has no grpc.health.v1.Health",
    "14": "UNAVAILABLE",
    "16": "UNAUTHENTICATED",
}


class NotGrpc(Exception):
    """That is no answer of gRPC. The text says what it is."""


class HealthCall:
    """Asked with `begin`, then fed until it has an `answer` in words."""

    def __init__(self, authority: str, service: str, timeout: float) -> None:
        self.answer = ""
        self.is_serving = False
        self._authority = authority
        self._service = service
        self._timeout = timeout
        self._connection = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._fields: dict[str, str] = {}
        self._body = b""
        self._start = b""

    def begin(self) -> bytes:
        """Preface, settings and the whole request."""
        connection = self._connection
        connection.initiate_connection()
        connection.send_headers(1, self._request())
        connection.send_data(1, framed(request_of(self._service)), end_stream=True)
        return connection.data_to_send()

    def feed(self, data: bytes) -> bytes:
        """What to send back. Raises NotGrpc."""
        if not data:
            raise NotGrpc("closed the connection before it answered")
        self._check_preface(data)
        try:
            for event in self._connection.receive_data(data):
                self._take(event)
        except H2Error:
            raise NotGrpc(_FOREIGN) from None
        return self._connection.data_to_send()

    def _request(self) -> list[tuple[str, str]]:
        return [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "tidegate-probe/1"),
            ("grpc-timeout", f"{max(1, min(round(self._timeout * 1000), 99_999_999))}m"),
        ]

    def _check_preface(self, data: bytes) -> None:
        """A server begins with SETTINGS (RFC 9113 §3.4). Text would be taken for the start of a
        very long frame, and waited for."""
        self._start += data[: 4 - len(self._start)]
        if len(self._start) == 4 and self._start[3] != _SETTINGS:
            raise NotGrpc(_FOREIGN)

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            self._fields.update(_texts(event.headers))
        elif isinstance(event, DataReceived):
            self._body += event.data
            if len(self._body) > LIMIT:
                raise NotGrpc("sent more than 4 KiB")
            self._connection.acknowledge_received_data(event.flow_controlled_length, 1)
        elif isinstance(event, StreamEnded):
            self._conclude()
        elif isinstance(event, StreamReset | ConnectionTerminated) and not self.answer:
            raise NotGrpc(f"ended the call: {_name(event.error_code)}")

    def _conclude(self) -> None:
        status, code = self._fields.get(":status"), self._fields.get("grpc-status")
        if code is None:
            raise NotGrpc(f"answered with HTTP status {status} and no grpc-status")
        if code != "0":
            said = unquote(self._fields.get("grpc-message", ""))[:80]
            name = _CODES.get(code, f"code {code}")
            self.answer = f"{name} ({said})" if said else name
            return
        found = status_of(unframed(self._body))
        self.is_serving = found == _SERVING
        self.answer = _STATUS.get(found, f"status {found}")


def request_of(service: str) -> bytes:
    """HealthCheckRequest {string service = 1}."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def status_of(message: bytes) -> int:
    """HealthCheckResponse {ServingStatus status = 1}; fields that came later are passed over.

    Raises NotGrpc.
    """
    status, at = 0, 0
    while at < len(message):
        key, at = _read_varint(message, at)
        if key == 0x08:
            status, at = _read_varint(message, at)
        else:
            at = _past(message, at, key & 7)
    return status


def framed(message: bytes) -> bytes:
    """A length-prefixed message, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def unframed(body: bytes) -> bytes:
    """Raises NotGrpc."""
    if len(body) < 5 or body[0] or len(body) != 5 + int.from_bytes(body[1:5], "big"):
        raise NotGrpc("sent something that is not one message of gRPC")
    return body[5:]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number and where it ends. Raises NotGrpc."""
    number = 0
    for shift, byte in enumerate(message[at : at + 10]):
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, at + shift + 1
    raise NotGrpc("sent a broken message")


def _past(message: bytes, at: int, wire_type: int) -> int:
    """Where a field that we do not know ends. Raises NotGrpc."""
    if wire_type == 0:
        return _read_varint(message, at)[1]
    if wire_type == 2:
        length, at = _read_varint(message, at)
        return at + length
    if wire_type in (1, 5):
        return at + (8 if wire_type == 1 else 4)
    raise NotGrpc("sent a broken message")


def _texts(fields: Iterable[tuple[bytes | str, bytes | str]] | None) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in fields or ()}


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _name(code: ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error {code}"
