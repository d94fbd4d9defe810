"""What clients send neither forges lines of a log, nor runs in a page, nor grows the metrics."""

import asyncio
import contextlib
import json
import re
import sys
from pathlib import Path

import pytest

from tests.support.running import APP, Running, app, configuration, tidegate

NASTY = '"><script>alert(1)</script>\x1b[2J\\" 200 "\x9b31m\xe2\x80\xae'


async def raw(running: Running, data: bytes) -> bytes:
    host, _, port = running.gateway.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        async with asyncio.timeout(30):
            return await reader.read(65536)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def request(method: str, target: str, host: str, *fields: str) -> bytes:
    lines = (f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "Connection: close", "", "")
    return "\r\n".join(lines).encode("latin-1")


def series(text: bytes) -> set[str]:
    """Without status codes, of which there are not many (one who left early may be a 499)."""
    lines = [line.rpartition(" ")[0] for line in text.decode().splitlines() if line[:1] != "#"]
    return {re.sub(r'code="[0-9]{3}"', "code", line) for line in lines}


async def test_no_request_makes_a_series_of_its_own(tmp_path: Path) -> None:
    """Hosts, paths, methods and status codes are the client's choice; labels are not."""
    invented = app(command=[*APP])
    async with tidegate(configuration(tmp_path, {"web": invented})) as running:

        async def flood(start: int) -> None:
            for number in range(start, start + 40):
                await raw(running, request(f"M{number}", f"/p{number}", f"h{number}.localhost"))
                await raw(running, request(f"M{number}", f"/p{number}", "web.localhost"))
                await raw(running, request("GET", f"/p{number}?q={number}", "web.localhost"))
                await raw(running, request("GET", f"/{number}", f"h{number}", f"X{number}: y"))
                await raw(running, f"G{number} nonsense\r\n\r\n".encode())

        await flood(0)
        before = series((await running.api("/metrics")).body)
        await flood(1000)
        for number in range(40):
            await running.api(f"/v1/services/none-{number}")
            await running.api(f"/x/{number}", method="PUT")
        after = series((await running.api("/metrics")).body)
        # The autoscaler goes on deciding meanwhile; these tell of the service alone.
        assert {one for one in after - before if not one.startswith("tidegate_decisions")} == set()
        text = (await running.api("/metrics")).body.decode()
        for word in ("h1001", "p1001", "M1001", "none-1"):
            assert word not in text


@pytest.mark.parametrize("kind", ["json", "combined"])
async def test_a_line_of_the_access_log_is_one_line_whatever_was_sent(
    tmp_path: Path, kind: str
) -> None:
    gateway = {"listen": ["127.0.0.1:0"], "workers": 0, "access_log": kind}
    async with tidegate(configuration(tmp_path, {"web": app()}, gateway=gateway)) as running:
        await running.get("web")
        fields = (f"User-Agent: {NASTY}", f"Referer: {NASTY}", f"X-Request-Id: {NASTY}")
        sent = 0
        for target in ("/a", '/"<x>"', "/%0a%0dforged", "/\x9b\xe2\x80\xae", "/" + "x" * 7000):
            for method in ("GET", 'G"T', "GET\x1b"):
                for extra in ((), fields, fields[:1]):
                    await raw(running, request(method, target, "web.localhost", *extra))
                    sent += 1
        await running.get("web", "/the-last-one")

        async def logged() -> bool:
            return any("/the-last-one" in str(line) for line in running.log)

        await running.until(logged)
        lines = [str(line["message"]) for line in running.log if "HTTP/1." in str(line)]
        assert 2 <= len(lines) <= sent + 2
        for line in lines:
            assert line.isascii(), line
            assert line.isprintable(), line
            assert len(line) < 12_000
            if kind == "json":
                assert 200 <= json.loads(line)["status"] < 600
        assert await running.end() == 0
    for record in running.log:
        assert "level" in record, f"a line that is none of ours: {record}"


async def test_an_error_page_repeats_nothing_that_a_client_sent(tmp_path: Path) -> None:
    services = {"web": app(), "down": {"command": [sys.executable, "-c", "raise SystemExit(1)"]}}
    async with tidegate(configuration(tmp_path, services)) as running:
        for accept in ("text/html", "*/*", "application/json"):
            for host in ("nobody.localhost", "down.localhost", "canary<b>.localhost"):
                for target in ("/canary", "/<canary>", "/?q=<script>canary</script>"):
                    fields = (f"Accept: {accept}", "Cookie: canary", "X-A: <canary>")
                    answer = await raw(running, request("GET", target, host, *fields))
                    head, _, body = answer.partition(b"\r\n\r\n")
                    assert int(head[9:12]) >= 400, answer
                    assert b"canary" not in answer, answer
                    assert b"X-Content-Type-Options: nosniff" in head, answer
                    assert b"<script" not in body
