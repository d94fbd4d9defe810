"""Access log lines cannot be forged."""

import asyncio
import json
import logging

import pytest

from gateway import access_log as log_of_access
from gateway import own_answers
from gateway.access_log import Entry, access_log, combined_line, json_line
from tests.support.raw_http import get, say_hello, stage, until

NASTY = b'/"\\x\r\n\x1b[31m\xe9' + b"a" * 5000


def entry(target: bytes = b"/a", head: bytes = b"") -> Entry:
    return Entry("1.2.3.4", b"GET", target, 1, head, 200, 5, 0.25, "web", "web-0", "id")


@pytest.mark.rule("Tidegate: combined log", side="client")
def test_combined_is_as_apache_and_nginx_write_it() -> None:
    head = b"\r\nReferer: http://a/\r\nUser-Agent: curl/8"
    assert combined_line(entry(head=head), 0.0) == (
        '1.2.3.4 - - [01/Jan/1970:00:00:00 +0000] "GET /a HTTP/1.1" 200 5 "http://a/" "curl/8"'
    )


@pytest.mark.rule("Tidegate: JSON log", side="client")
def test_json_has_the_facts() -> None:
    facts = json.loads(json_line(entry(head=b"\r\nHost: a.test"), 0.5))
    assert facts["time"] == "1970-01-01T00:00:00.500+00:00"
    assert (facts["host"], facts["status"], facts["replica"]) == ("a.test", 200, "web-0")


@pytest.mark.rule("Tidegate: log injection", side="client")
@pytest.mark.parametrize("write", [json_line, combined_line])
def test_nothing_a_client_sent_can_end_a_line(write: object) -> None:
    assert callable(write)
    line = write(entry(NASTY, b"\r\nUser-Agent: " + NASTY.replace(b"\r\n", b"")), 0.0)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 12_000
    if write is combined_line:
        assert line.count('"') == 6


def never(**_: object) -> Entry:
    raise AssertionError("a line was made for nobody")


@pytest.mark.rule("Tidegate: log off", side="client")
@pytest.mark.parametrize("kind", ["off", "json"])
async def test_off_is_nothing_not_even_a_line_that_is_thrown_away(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_of_access, "Entry", never)
    monkeypatch.setattr(own_answers, "Entry", never)
    assert access_log("off") is None
    loop, raised = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, told: raised.append(told))
    async with stage(say_hello, access_log=kind) as s:
        client = await s.client()
        await client.send(get())
        if kind == "json":
            await until(lambda: raised)  # or the test would see nothing
            return
        assert (await client.answer()).body == b"hello"
        assert (await client.ask(b"BAD\r\n\r\n")).status == 400
    assert raised == []


@pytest.mark.rule("Tidegate: JSON log", side="client")
async def test_requests_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="tidegate.access")
    async with stage(say_hello, access_log="json") as s:
        client = await s.client()
        await client.ask(get("/x"))
        await client.ask(b"BAD\r\n\r\n")
    facts = [json.loads(record.getMessage()) for record in caplog.records]
    assert [(one["target"], one["status"], one["bytes"]) for one in facts] == [
        ("/x", 200, 5),
        ("-", 400, 0),
    ]
