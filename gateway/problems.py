"""Error answers of the gateway itself.

Pure. `application/problem+json` (RFC 9457) with a stable `code`, or a small page for browsers.
Nothing a client sent is repeated in them.
"""

import html
import json
from dataclasses import dataclass
from http import HTTPStatus

ALLOWED = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, TRACE"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong. `retry_after` is in whole seconds."""

    status: int
    code: str
    detail: str
    retry_after: int | None = None


NO_ROUTE = Problem(404, "no-route", "No service is configured for this host and path.")
UNREACHABLE = Problem(502, "replica-unreachable", "The replica could not be reached.")
RESET = Problem(502, "replica-reset", "The replica closed the connection without an answer.")
REPLICA_TIMEOUT = Problem(504, "replica-timeout", "The replica did not answer in time.")
HEAD_TIMEOUT = Problem(408, "header-timeout", "The head of the request did not come in time.")
BODY_TIMEOUT = Problem(408, "body-timeout", "The body of the request did not come in time.")
BODY_TOO_LARGE = Problem(413, "body-too-large", "The body of the request is too large.")
BAD_BODY = Problem(400, "bad-framing", "The body of the request is framed in an invalid way.")
TOO_MANY_CONNECTIONS = Problem(
    503, "too-many-connections", "The gateway has too many connections.", retry_after=1
)
TOO_MANY_OF_CLIENT = Problem(
    503, "too-many-connections", "Too many connections come from this address.", retry_after=1
)
NO_DESCRIPTOR = Problem(
    503, "too-many-connections", "The gateway has no room for another connection.", retry_after=1
)
MEMORY_PRESSURE = Problem(503, "memory-pressure", "The gateway is short of memory.", retry_after=1)
QUEUE_FULL = Problem(503, "queue-full", "Too many requests wait for a replica.")
TOO_MANY_HELD = Problem(
    503, "too-many-held", "Too many requests wait for replicas of all services together."
)


def over_share(retry_after: int) -> Problem:
    detail = "This service has its share of the gateway's connections."
    return Problem(503, "over-share", detail, retry_after)


def queue_timeout(retry_after: int) -> Problem:
    return Problem(503, "queue-timeout", "No replica was free in time.", retry_after)


def render(problem: Problem, *, date: bytes, html_wanted: bool, close: bool, head: bool) -> bytes:
    """The whole answer. `head`: it answers HEAD, so its body is only described."""
    phrase = HTTPStatus(problem.status).phrase
    body = _page(problem, phrase) if html_wanted else _json(problem, phrase)
    media_type = "text/html; charset=utf-8" if html_wanted else "application/problem+json"
    lines = [
        f"HTTP/1.1 {problem.status} {phrase}",
        f"Date: {date.decode()}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
    ]
    if problem.retry_after is not None:
        lines.append(f"Retry-After: {problem.retry_after}")
    if problem.status == 405:
        lines.append(f"Allow: {ALLOWED}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else body)


def _json(problem: Problem, phrase: str) -> bytes:
    facts: dict[str, object] = {
        "type": "about:blank",
        "title": phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.retry_after is not None:
        facts["retry_after"] = problem.retry_after
    return json.dumps(facts).encode()


def _page(problem: Problem, phrase: str) -> bytes:
    title = f"{problem.status} {html.escape(phrase)}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>body{{font:16px/1.5 system-ui;margin:15vh auto;max-width:32em;padding:0 1em}}"
        f"</style><h1>{title}</h1><p>{html.escape(problem.detail)}</p>"
        f"<p><code>{html.escape(problem.code)}</code></p></html>\n"
    ).encode()
