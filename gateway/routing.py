"""Which service a request is for.

Pure. Hosts: exact, then the longest wildcard, then "*". Paths: the longest prefix that ends on a
segment boundary. A less specific host is asked only when no path of a more specific one matches.
Paths are compared on a copy that is decoded once and has its slashes and dots resolved, so that
no spelling reaches the service of another prefix; the raw target is what is sent on.
"""

import re
from collections.abc import Iterable
from typing import Generic, TypeVar

R = TypeVar("R")

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
# Paths that are their own normal form, which are nearly all.
_PLAIN = re.compile(rb"(?:/(?!\.{1,2}(?:/|\Z))[0-9A-Za-z._~!$&'()*+,;=:@\-]++)*+/?")


class Table(Generic[R]):
    """Routes by host and path prefix. A host with only "/" costs one dictionary entry."""

    __slots__ = ("_any", "_hosts", "_prefixed", "_wildcards")

    def __init__(self, routes: Iterable[tuple[str, str, R]] = ()) -> None:
        """From (host pattern, path prefix, route); of equal ones the first wins."""
        self._hosts: dict[bytes, R] = {}
        self._prefixed: dict[bytes, dict[bytes, R]] = {}
        self._wildcards = False
        self._any: R | None = None
        for host, prefix, route in routes:
            self._add(host.lower().encode("ascii", "replace"), prefix.encode(), route)

    def match(self, host: bytes, target: bytes) -> R | None:
        """The route of a canonical host and a raw request target."""
        found = self._at(host, target) if self._prefixed else self._hosts.get(host)
        if found is not None:
            return found
        if self._wildcards:
            found = self._wildcard(host, target)
            if found is not None:
                return found
        return self._at(b"*", target) if self._prefixed else self._any

    def _add(self, host: bytes, prefix: bytes, route: R) -> None:
        prefix = normal_path(prefix).rstrip(b"/")
        self._wildcards = self._wildcards or host.startswith(b"*.")
        if prefix:
            self._prefixed.setdefault(host, {}).setdefault(prefix, route)
        else:
            self._hosts.setdefault(host, route)
        self._any = self._hosts.get(b"*")

    def _at(self, host: bytes, target: bytes) -> R | None:
        prefixes = self._prefixed.get(host)
        if prefixes is not None:
            found = _longest(prefixes, normal_path(target))
            if found is not None:
                return found
        return self._hosts.get(host)

    def _wildcard(self, host: bytes, target: bytes) -> R | None:
        at = host.find(b".")
        while at >= 0:
            found = self._at(b"*" + host[at:], target)
            if found is not None:
                return found
            at = host.find(b".", at + 1)
        return None


def _longest(prefixes: dict[bytes, R], path: bytes) -> R | None:
    end = len(path)
    while end > 0:
        found = prefixes.get(path[:end])
        if found is not None:
            return found
        end = path.rfind(b"/", 0, end)
    return None


def normal_path(target: bytes) -> bytes:
    """The path of a target, decoded once, with slashes merged and dot segments resolved."""
    path = target.partition(b"?")[0]
    if _PLAIN.fullmatch(path):
        return path
    path = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), path).replace(b"\\", b"/")
    segments: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment not in (b"", b"."):
            segments.append(segment)
    return b"/" + b"/".join(segments)
