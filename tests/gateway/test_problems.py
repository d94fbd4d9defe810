"""Error answers."""

import json

import pytest

from gateway import problems
from gateway.problems import Problem, render

DATE = b"Sat, 21 Nov 2026 23:26:02 GMT"


def rendered(problem: Problem, *, html: bool = False, head: bool = False) -> tuple[bytes, bytes]:
    answer = render(problem, date=DATE, html_wanted=html, close=True, head=head)
    start, _, body = answer.partition(b"\r\n\r\n")
    return start, body


@pytest.mark.rule("RFC 9457 §3: problem+json", side="client")
def test_programs_get_problem_json_rfc9457() -> None:
    head, body = rendered(problems.queue_timeout(3))
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert b"\r\nRetry-After: 3\r\n" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    facts = json.loads(body)
    assert (facts["status"], facts["code"], facts["retry_after"]) == (503, "queue-timeout", 3)


@pytest.mark.rule("RFC 9110 §12.5.1: pages for browsers", side="client")
def test_browsers_get_a_page_and_nothing_unescaped() -> None:
    head, body = rendered(Problem(503, "a<b", "<script>alert(1)</script>"), html=True)
    assert b"text/html" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"<script>" not in body
    assert b"a&lt;b" in body


@pytest.mark.rule("RFC 9110 §9.3.2: HEAD", side="client")
def test_head_gets_no_body_rfc9110_9_3_2() -> None:
    head, body = rendered(problems.NO_ROUTE, head=True)
    assert body == b""
    assert b"Content-Length: 0" not in head


@pytest.mark.rule("RFC 9110 §15.5.6: Allow", side="client")
def test_405_names_what_is_allowed_rfc9110_15_5_6() -> None:
    assert b"\r\nAllow: GET, " in rendered(Problem(405, "x", "y"))[0]
