"""Numbers in documents that an HTTP server gives, and what a server may do instead."""

import asyncio
import gzip
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from autoscaler.sources.http import LARGEST, Http
from autoscaler.sources.json_value import JsonSource
from autoscaler.sources.source import SourceFailure
from config.rules import JsonRule
from tests.support.certificates import issue
from tests.support.http_answers import Answering, answering
from tests.support.lone_server import dead_port

DOCUMENT = """{"queue": {"length": 12, "big": "9007199254740993", "name": "jobs", "none": null},
    "jobs": [{"count": 3}, {"count": 4.5}], "on": true, "a.b": 6}"""


async def ask(url: str, value: str = "n", **headers: str) -> float:
    facts = {"metric": "json", "url": url, "value": value, "target": 1.0, "headers": headers}
    http = Http()
    try:
        return await JsonSource(JsonRule.model_validate(facts), http).ask()
    finally:
        await http.close()


async def refused(url: str, value: str = "n", **headers: str) -> SourceFailure:
    with pytest.raises(SourceFailure) as failure:
        await ask(url, value, **headers)
    assert "hunter2" not in failure.value.says
    return failure.value


@pytest.mark.parametrize(
    ("path", "number"),
    [("queue.length", 12), ("jobs[1].count", 4.5), ('["a.b"]', 6), ("queue.big", 9007199254740993)],
)
async def test_a_number_is_found_by_its_path(path: str, number: float) -> None:
    async with answering() as server:
        server.says("/stats", DOCUMENT)
        assert await ask(f"{server.url}/stats", path) == float(number)


async def test_a_document_may_be_a_number() -> None:
    async with answering() as server:
        server.says("/", "42")
        assert await ask(server.url, "$") == 42


@pytest.mark.parametrize(
    ("path", "says", "silent"),
    [
        ("queue.depth", "the document has no queue.depth", True),
        ("jobs[2].count", "the document has no jobs[2].count", True),
        ("jobs.count", "the document has no jobs.count", True),
        ("queue[0]", "the document has no queue[0]", True),
        ("queue.none", "queue.none is null", True),
        ("queue.name", "queue.name is a text and no number", False),
        ("on", "on is true or false and no number", False),
        ("jobs", "jobs is a list and no number", False),
        ("queue", "queue is an object and no number", False),
    ],
)
async def test_what_is_no_number_is_said(path: str, says: str, silent: bool) -> None:
    async with answering() as server:
        server.says("/", DOCUMENT)
        failure = await refused(server.url, path)
        assert (failure.says, failure.silent) == (says, silent)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("hunter2", 200, "answers with what is no JSON"),
        ("", 200, "answers with what is no JSON"),
        ('{"n": NaN}', 200, "answers with what is no JSON"),
        ('{"n": 1}', 404, "answers 404"),
        ('{"n": 1}', 500, "answers 500"),
    ],
)
async def test_other_answers_are_errors(body: str, status: int, says: str) -> None:
    async with answering() as server:
        server.says("/", body, status)
        url = server.url.replace("//", "//me:hunter2@") + "/?token=hunter2"
        assert (await refused(url)).says == f"{server.url} {says}"


# The law of autoscaler/sources/http.py


async def test_a_document_is_bounded() -> None:
    async with answering() as server:
        server.says("/", b" " * LARGEST + b"1")
        assert "more than 1 MiB" in (await refused(server.url, "$")).says
        server.says("/", b" " * (LARGEST - 1) + b"1")
        assert await ask(server.url, "$") == 1


async def test_an_endless_document_is_given_up_at_the_bound() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 65536)

    async with answering() as server:
        server.answers["/"] = endless
        async with asyncio.timeout(10):
            assert "more than 1 MiB" in (await refused(server.url)).says


async def test_nothing_is_decompressed() -> None:
    async with answering() as server:
        server.says("/", gzip.compress(b'{"n": 1}'), headers={"Content-Encoding": "gzip"})
        assert "compressed" in (await refused(server.url)).says
        assert server.requests[0].headers["Accept-Encoding"] == "identity"


def redirect(server: Answering, path: str, to: str) -> None:
    server.says(path, "", 302, {"Location": to})


@pytest.mark.parametrize("location", ["/there", "{url}/there"])
async def test_a_redirect_on_the_same_host_is_followed_with_its_secrets(location: str) -> None:
    async with answering() as server:
        redirect(server, "/", location.format(url=server.url))
        server.says("/there", '{"n": 1}')
        url = server.url.replace("//", "//me:hunter2@")
        assert await ask(url, X="hunter2") == 1
        first, second = server.requests
        assert second.headers["X"] == "hunter2"
        assert second.headers["Authorization"] == first.headers["Authorization"]


async def test_a_redirect_to_another_host_is_not_followed() -> None:
    async with answering() as server, answering() as other:
        redirect(server, "/", f"{other.url}/?stolen=1")
        other.says("/", '{"n": 1}')
        says = (await refused(server.url, Authorization="hunter2")).says
        assert says == f"{server.url} redirects to {other.url}: not followed, use that one"
        assert other.requests == []


async def test_redirects_end() -> None:
    async with answering() as server:
        redirect(server, "/", "/")
        assert "more than 3 times" in (await refused(server.url)).says
        assert len(server.requests) == 4


@pytest.mark.parametrize("location", ["", "http://", "//[", "mailto:me@example.org"])
async def test_a_redirect_to_nowhere_is_an_error(location: str) -> None:
    async with answering() as server:
        redirect(server, "/", location)
        assert (await refused(server.url)).says.startswith((server.url, "cannot ask"))


async def test_nobody_there_is_said() -> None:
    with dead_port() as address:
        says = (await refused(f"http://me:hunter2@{address}/")).says
    assert says == f"cannot reach http://{address}: Connection refused"
    says = (await refused("http://me:hunter2@unknown.invalid/")).says
    assert says.startswith("cannot reach http://unknown.invalid: ")


async def test_a_certificate_that_nobody_trusts_is_said(tmp_path: Path) -> None:
    made = issue(tmp_path, "a", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    async with answering(context) as server:
        assert (await refused(server.url)).says == (
            f"cannot reach {server.url}: TLS: self-signed certificate"
        )


@pytest.mark.parametrize(
    "said", [b"", b"hunter2\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"]
)
async def test_a_server_that_leaves_or_speaks_otherwise_is_an_error(said: bytes) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(rude, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert (await refused(url)).says.startswith(f"cannot reach {url}: it")
