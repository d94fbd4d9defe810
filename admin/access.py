"""Who may talk to the API: bearers of the token, and no foreign web page.

Pure but for `read_token`. A browser on the operator's machine can be made to send requests to
loopback; four checks stop that: the Host (DNS rebinding), the origin of writes and the kind of
their body (cross-site request forgery) and, where one is set, the token.
"""

import hmac
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_LEASE = re.compile(r"/v1/services/([^/]+)/lease(?:/[^/]+)?")
_LONGEST_TOKEN = 4096  # bytes of its file
# What a form can send to another site without the browser asking there first (Fetch §2.2.2).
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class TokenError(Exception):
    """The token file cannot be used; the text says why."""


def read_token(path: Path) -> str:
    """The one line of the file. Raises TokenError when it is missing, empty or not one word."""
    try:
        with path.open(encoding="utf-8") as file:
            token = file.read(_LONGEST_TOKEN + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"cannot read the token file {path}: {error}") from error
    if not token:
        raise TokenError(f"the token file {path} is empty")
    if len(token) > _LONGEST_TOKEN:
        raise TokenError(f"the token file {path} holds more than {_LONGEST_TOKEN} characters")
    if not token.isascii() or len(token.split()) != 1:
        raise TokenError(f"the token file {path} must hold one word of ASCII characters")
    return token


def bears_token(authorization: str | None, token: str) -> bool:
    """RFC 6750 §2.1. Takes the same time wherever a wrong token differs."""
    scheme, _, given = (authorization or "").partition(" ")
    matches = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    return scheme.lower() == "bearer" and matches


def leased_service(method: str, path: str) -> str | None:
    """The service whose own token is enough here; None: only the operator's is."""
    match = _LEASE.fullmatch(path) if method in ("POST", "DELETE") else None
    return match[1] if match else None


def is_cross_site(method: str, headers: Mapping[str, str]) -> bool:
    """A write that a page of another origin makes. The rules of Go's CrossOriginProtection:
    programs send neither field, all browsers of today send the first, old ones the second."""
    if method in _READING:
        return False
    if site := headers.get("Sec-Fetch-Site"):
        return site.lower() not in ("same-origin", "none")
    origin = headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("Host", "").lower()


def is_form(method: str, headers: Mapping[str, str]) -> bool:
    """A write as the forms of all browsers send it. None of them can add an Authorization."""
    if method in _READING:
        return False
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return media_type in _FORMS and "Authorization" not in headers


def is_own_host(host: str) -> bool:
    """What a program on this machine may call us: `localhost`, a name below it (RFC 6761 §6.3),
    or a loopback address."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_of(authority: str) -> str:
    """The host of a Host field: `[::1]:9900` -> `::1`. Empty when it is none."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""
