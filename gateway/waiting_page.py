"""The page that waits with a person while a service wakes, and the events it lives on.

The page is one file without anything from elsewhere: it works behind any policy and offline. What
it may do is pinned by hashes in its own policy. What it says comes from the operator's names, from
measured times and from the trouble's words for clients, never from the request. Without scripts it
asks again by itself.
"""

import base64
import hashlib
import html
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.problems import Problem

EVENTS = "/.well-known/tidegate/wake"  # below the path of the service (RFC 8615 §3)

_TEMPLATE = Path(__file__).with_name("waiting.html").read_text(encoding="utf-8")
_LONGEST_REFRESH = 30  # seconds, without scripts


def _pinned(tag: str) -> str:
    """CSP: hashes of what stands in the page itself."""
    found = re.search(rf"<{tag}>(.*?)</{tag}>", _TEMPLATE, re.DOTALL)
    assert found is not None
    digest = hashlib.sha256(found[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


_POLICY = (
    f"default-src 'none'; style-src {_pinned('style')}; script-src {_pinned('script')}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
_EVENT_STREAM = (
    b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Waking:
    """A service on its way up. Seconds since it was asked for, and those that it takes as measured
    (None: no start was seen yet); or what is in its way."""

    service: str
    elapsed: float
    expected: float | None
    trouble: Problem | None = None

    @property
    def title(self) -> str:
        return f"{self.service} {'cannot start' if self.trouble else 'is starting'}"

    @property
    def said(self) -> str:
        if self.trouble is not None:
            return f"{self.trouble.detail} It is tried again."
        if self.expected is None:
            return "This page goes on by itself as soon as it is ready."
        seconds = max(1, math.ceil(self.expected))
        takes = "a second" if seconds == 1 else f"{seconds} seconds"
        return f"This usually takes about {takes}. This page goes on by itself."

    @property
    def retry_after(self) -> int:
        """Whole seconds."""
        if self.trouble is not None and self.trouble.retry_after is not None:
            return self.trouble.retry_after
        return max(1, math.ceil((self.expected or 1.0) - self.elapsed))

    @property
    def milliseconds(self) -> tuple[int, int]:
        """Elapsed, and expected or 0."""
        return int(self.elapsed * 1000), int((self.expected or 0.0) * 1000)


def page(waking: Waking, events: str, *, date: bytes, close: bool, minor: int, head: bool) -> bytes:
    """The whole answer. `events` is the path of its event stream; `head`: it answers HEAD."""
    body = _filled(waking, events)
    lines = [
        "HTTP/1.1 503 Service Unavailable",
        f"Date: {date.decode()}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Retry-After: {waking.retry_after}",
        "Cache-Control: no-store",
        f"Content-Security-Policy: {_POLICY}",
        "X-Content-Type-Options: nosniff",
        "X-Robots-Tag: noindex",
    ]
    if close:
        lines.append("Connection: close")
    elif not minor:
        lines.append("Connection: keep-alive")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else body)


def _filled(waking: Waking, events: str) -> bytes:
    elapsed, expected = waking.milliseconds
    values = {
        "title": waking.title,
        "said": waking.said,
        "state": "trouble" if waking.trouble else "starting",
        "elapsed": str(elapsed),
        "expected": str(expected),
        "events": events,
        "refresh": str(min(_LONGEST_REFRESH, waking.retry_after)),
    }
    text = _TEMPLATE.replace("{{hidden}}", " hidden" if waking.trouble else "")
    return re.sub(r"\{\{(\w+)\}\}", lambda at: html.escape(values[at[1]]), text).encode()


def stream_head(date: bytes) -> bytes:
    """Of the events; they end with the connection."""
    return _EVENT_STREAM % date


def progress(waking: Waking) -> bytes:
    """How far it is, or what is in its way."""
    elapsed, expected = waking.milliseconds
    words = {"title": waking.title, "said": waking.said}
    if waking.trouble is not None:
        return _event("trouble", {**words, "code": waking.trouble.code})
    return _event("progress", {**words, "elapsed": elapsed, "expected": expected})


def ready() -> bytes:
    """The last event: now the page itself is to be had."""
    return _event("ready", {})


def _event(kind: str, facts: dict[str, object]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(facts)}\n\n".encode()
