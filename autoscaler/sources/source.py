"""The port of a source: asked for one number. Foreign errors stop at the driver's edge.

What a driver says of a failure is a sentence for logs, events and reasons: never a password of a
URL, a header's value or an option, whoever wrote the message that it was made from.
"""

import os
import socket
import ssl
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import unquote, urlsplit

_LONGEST = 300  # characters of a sentence
_HIDDEN = "…"


class SourceFailure(Exception):
    """There is no number, and why. `silent`: it answered, but there is no number in it."""

    def __init__(self, says: str, *, silent: bool = False) -> None:
        super().__init__(says)
        self.says = says if len(says) <= _LONGEST else f"{says[:_LONGEST]}{_HIDDEN}"
        self.silent = silent


class Source(Protocol):
    """One question to somebody else."""

    async def ask(self) -> float:
        """The present value. Raises SourceFailure, and nothing else.

        Whoever asks cancels it when it takes too long; it may be asked again afterwards.
        """

    async def close(self) -> None:
        """Let go of connections."""


def place_of(url: str) -> str:
    """Where a URL leads, without what may be secret: user, password, query, fragment."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}"


def secrets_of(url: str) -> list[str]:
    """What of a URL must not be repeated, as written and as meant."""
    parts = urlsplit(url)
    written = [parts.password or "", parts.username or "", parts.query]
    return [*written, *map(unquote, written)]


def without(text: str, secrets: Iterable[str]) -> str:
    """The text on one line, each secret in it hidden, the longest first."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return " ".join(text.split())


def system_words(error: OSError) -> str:
    """What the system says of it; asyncio's own words only repeat the address."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason}"
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or "no connection"
    return os.strerror(error.errno)
