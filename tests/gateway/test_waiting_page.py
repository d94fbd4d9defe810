"""The page that waits: whole in itself, safe, and honest about what it knows."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.problems import Problem
from gateway.waiting_page import EVENTS, Waking, page, progress, ready

TROUBLE = Problem(503, "start-failed", "The service does not start.", 7)


def shown(waking: Waking, *, head: bool = False) -> tuple[str, str]:
    data = page(waking, EVENTS, date=b"today", close=False, minor=1, head=head)
    top, _, body = data.decode().partition("\r\n\r\n")
    return top, body


def field(top: str, name: str) -> str:
    (value,) = re.findall(rf"(?m)^{name}: (.*?)\r?$", top)
    return str(value)


class Tags(HTMLParser):
    """Every start tag, with its attributes, and the text in front of people."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_it_is_a_503_that_says_when_and_is_kept_nowhere() -> None:
    """RFC 9110 §15.6.4, §10.2.3."""
    top, body = shown(Waking("web", 1.2, 5.3))
    assert top.startswith("HTTP/1.1 503 ")
    assert field(top, "Retry-After") == "5"
    assert field(top, "Cache-Control") == "no-store"
    assert int(field(top, "Content-Length")) == len(body.encode())
    top, body = shown(Waking("web", 1.2, 5.3), head=True)
    assert int(field(top, "Content-Length")) > 0
    assert body == ""


def test_it_loads_nothing_and_its_policy_pins_what_it_runs() -> None:
    top, body = shown(Waking("web", 0.0, 5.0))
    assert not re.search(r"(?i)\b(src|href|@import|url\()", body)
    assert "http://" not in body
    assert "https://" not in body
    policy = field(top, "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", body)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r'(?i)\s(style|on\w+)="', body)  # the policy would refuse those


def test_people_and_screen_readers_are_told() -> None:
    tags = Tags(shown(Waking("web", 0.0, 4.2))[1])
    assert tags.of("html") == [{"lang": "en"}]
    assert tags.of("h1")[0]["role"] == "status"
    assert tags.of("progress")[0]["aria-labelledby"] == "title"
    assert any(meta.get("name") == "viewport" for meta in tags.of("meta"))
    assert {"name": "color-scheme", "content": "light dark"} in tags.of("meta")
    assert "web is starting" in tags.text
    assert "about 5 seconds" in tags.text


def test_without_scripts_it_asks_again_by_itself() -> None:
    body = shown(Waking("web", 0.0, 4.2))[1]
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in body
    assert 'content="30"' in shown(Waking("web", 0.0, 600.0))[1]


def test_an_unmeasured_start_promises_nothing() -> None:
    top, body = shown(Waking("web", 0.5, None))
    assert "usually" not in Tags(body).text
    assert field(top, "Retry-After") == "1"


def test_trouble_is_shown_and_when_it_is_tried_again() -> None:
    top, body = shown(Waking("web", 3.0, 5.0, TROUBLE))
    tags = Tags(body)
    assert field(top, "Retry-After") == "7"
    assert tags.of("main")[0]["data-state"] == "trouble"
    assert "hidden" in tags.of("progress")[0]
    assert "The service does not start." in tags.text


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_becomes_markup_or_ends_an_event(service: str, detail: str) -> None:
    waking = Waking(service, 1.0, 2.0, Problem(503, "code", detail))
    body = shown(waking)[1].replace("\r", "")
    plain = [tag for tag, _ in Tags(shown(Waking("web", 1.0, 2.0, TROUBLE))[1]).tags]
    assert [tag for tag, _ in Tags(body).tags] == plain
    assert progress(waking).count(b"\n") == 3


def facts(event: bytes) -> tuple[str, Any]:
    kind, data = re.fullmatch(rb"event: (\w+)\ndata: (.*)\n\n", event).groups()  # type: ignore[union-attr]
    return kind.decode(), json.loads(data)


@pytest.mark.parametrize(
    ("event", "kind", "expected"),
    [
        (progress(Waking("web", 1.25, 5.0)), "progress", {"elapsed": 1250, "expected": 5000}),
        (progress(Waking("web", 1.25, None)), "progress", {"elapsed": 1250, "expected": 0}),
        (progress(Waking("web", 1.0, 5.0, TROUBLE)), "trouble", {"code": "start-failed"}),
        (ready(), "ready", {}),
    ],
)
def test_an_event_says_how_far_it_is(event: bytes, kind: str, expected: dict[str, Any]) -> None:
    assert facts(event)[0] == kind
    assert expected.items() <= facts(event)[1].items()
