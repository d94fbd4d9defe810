"""Only a person in front of a browser gets a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Limits
from gateway.fields import Peer
from gateway.head import parse_request
from gateway.navigation import is_navigation, wants_html_most
from tests.support.raw_http import get, post

CHROME = (
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def judged(data: bytes) -> bool:
    request = parse_request(data, 0, Limits(), Peer(b"192.0.2.1"), None)
    assert request is not None
    return is_navigation(request)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (get("/", CHROME, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), True),
        (get("/", CHROME), True),  # plain HTTP: browsers leave Fetch Metadata out
        (get("/", FIREFOX), True),
        (get("/", FIREFOX, method="HEAD"), True),
        (get("/", "Sec-Fetch-Mode: navigate"), True),
        (get("/", FIREFOX, "Sec-Fetch-Mode: cors"), False),  # fetch()
        (get("/", FIREFOX, "Sec-Fetch-Mode: no-cors"), False),  # <img>
        (get("/", FIREFOX, "Sec-Fetch-Mode: websocket"), False),
        (get("/", "Accept: */*", "User-Agent: curl/8"), False),
        (get("/"), False),
        (get("/", "Accept: */*", "X-Requested-With: XMLHttpRequest"), False),
        (get("/", "Accept: application/json, text/html"), False),
        (get("/", "Accept: application/json, text/plain, */*"), False),  # axios
        (get("/", "Accept: text/html;q=0.5, application/json"), False),
        (get("/", "Accept: text/html;q=0"), False),
        (get("/", FIREFOX, method="POST"), False),
        (get("/", FIREFOX, "Sec-Fetch-Mode: navigate", method="PUT"), False),
        (post(b"x", FIREFOX, "Sec-Fetch-Mode: navigate"), False),
        (post(b"x", FIREFOX, method="GET"), False),
        (get("/", FIREFOX, "Connection: Upgrade", "Upgrade: websocket"), False),
        (get("/", FIREFOX, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: navigate"), False),
    ],
)
def test_who_waits_in_front_of_a_page(data: bytes, expected: bool) -> None:
    assert judged(data) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"text/html", True),
        (b" TEXT/HTML ; Q=0.9 , */* ; q=0.8", True),
        (b"application/xhtml+xml", True),
        (b"text/*", False),
        (b"text/html;q=nan, a/b;q=0.1", False),
        (b"text/html;q=7, a/b;q=0.1", False),
        (b"a/b;q=0.9, text/html;level=1", True),
        (b"", False),
        (b",,,", False),
    ],
)
def test_html_is_wanted_most(accept: bytes, expected: bool) -> None:
    assert wants_html_most(accept) is expected


@given(st.binary(max_size=80))
def test_no_wish_raises(accept: bytes) -> None:
    wants_html_most(accept)
