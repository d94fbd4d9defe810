"""The admin API cannot be reached through the public listener, however a request is spelled.

reliability: gateway-own endpoints stand on another listener (nginx `stub_status`, Envoy's admin and
Spring's actuators were reached by tricks with hosts and paths).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.running import Running, app, configuration, tidegate

# What only the admin API says.
SIGNS = (b'"services"', b"tidegate_", b'"openapi"', b'"last_decision"', b'"status":"alive"')
PATHS = [
    "/v1/services", "/metrics", "/healthz", "/readyz", "/openapi.json", "/v1/events?follow=false",
    "/v1/services/web/scale", "/v1/reload", "//v1/services", "/./v1/services", "/x/../v1/services",
    "/%76%31/services", "/v1%2fservices", "/v1/services/", "/v1/services;x=1", "/..;/v1/services",
    "/%2e%2e/v1/services", "/v1//services", "/V1/SERVICES", "\\v1\\services", "/v1/services%00",
    "/v1/services?host={admin}", "/%2f{admin}/v1/services", "/http://{admin}/v1/services",
    "http://{admin}/v1/services", "http://{gateway}@{admin}/v1/services", "//{admin}/v1/services",
    "http://{admin}", "{admin}/v1/services", "{admin}", "*", "/web/../../v1/services",
]  # fmt: skip
HOSTS = [
    "web.localhost", "{admin}", "localhost", "127.0.0.1", "{gateway}", "admin", "", "[::1]",
    "web.localhost@{admin}", "web.localhost:{port}", "{admin}#.web.localhost",
    "web.localhost\r\nX-Forwarded-Host: {admin}\r\nX-Original-URL: /v1/services",
    "web.localhost\r\nForwarded: host={admin}\r\nX-Rewrite-URL: /metrics",
    "web.localhost\r\nHost: {admin}", "web.localhost\r\nConnection: upgrade\r\nUpgrade: h2c",
]  # fmt: skip
METHODS = ["GET", "POST", "DELETE", "OPTIONS", "CONNECT", "TRACE"]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    services = {
        "web": app(),
        "rest": {"endpoints": ["127.0.0.1:1"], "hosts": ["*"], "paths": ["/only"]},
    }
    async with tidegate(configuration(tmp_path, services)) as running:
        await running.get("web")
        yield running


async def asked(running: Running, method: str, target: str, host: str) -> bytes:
    """All that comes back on a connection of its own."""
    address, _, port = running.gateway.rpartition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    try:
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(30):
            return await reader.read(65536)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_no_host_and_no_path_leads_to_it(running: Running) -> None:
    port = running.admin.rpartition(":")[2]
    names = {"admin": running.admin, "gateway": running.gateway, "port": port}
    cases = [
        (method, path.format_map(names), host.format_map(names))
        for method in METHODS
        for path in PATHS
        for host in HOSTS
    ]
    direct = await running.api("/v1/services")
    assert any(sign in direct.body for sign in SIGNS), "the signs are out of date"
    before = (await running.api("/v1/services/web")).json["mode"]
    for start in range(0, len(cases), 40):
        batch = cases[start : start + 40]
        answers = await asyncio.gather(*(asked(running, *case) for case in batch))
        for case, answer in zip(batch, answers, strict=True):
            assert answer.startswith(b"HTTP/1.1 "), case
            assert not any(sign in answer for sign in SIGNS), (case, answer)
            if case[2] != "web.localhost" and not answer.startswith(b"HTTP/1.1 200"):
                assert answer[9:12] in (b"400", b"404", b"405", b"421", b"501", b"502"), (
                    case,
                    answer,
                )
    after = await running.service("web")
    assert after["mode"] == before
    assert running.said("config-reloaded") == []
