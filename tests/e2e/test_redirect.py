"""Plain HTTP sent to HTTPS by a whole Tidegate, wherever its gateway runs."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.test_tls import HOST, connect, gateway_of, status
from tests.e2e.test_workers import gateways_of
from tests.support.certificates import issue
from tests.support.raw_http import Answer, Client, abort, get
from tests.support.running import Running, app, configuration, tidegate


async def redirected(running: Running, path: str) -> Answer:
    (ready,) = [line for line in running.log if line.get("kind") == "ready"]
    return await _ask(int(ready["listen"][2].rpartition(":")[2]), path)


async def _ask(port: int, path: str) -> Answer:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        return await client.ask(get(path, host=f"{HOST}:80"))
    finally:
        abort(client.writer)


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_a_client_is_sent_to_https_and_served_there(workers: int, tmp_path: Path) -> None:
    trusted = issue(tmp_path, "a", HOST).cert.read_bytes()
    gateway = gateway_of(workers, redirect="127.0.0.1:0")
    file = configuration(tmp_path, {"web": app()}, gateway=gateway)
    async with tidegate(file) as running:
        (ready,) = [line for line in running.log if line.get("kind") == "ready"]
        for n in range(8):
            told = await redirected(running, f"/a%2f?n={n}")
            assert told.status == 308
            secure = ready["listen"][1].rpartition(":")[2]
            assert told.value("Location") == f"https://{HOST}:{secure}/a%2f?n={n}"
        client = await connect(running, trusted)
        assert await status(client, "/") == 200
        abort(client.writer)
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_requests_total{code="308",service=""} 8.0' in metrics
        assert f'tidegate_connections{{listener="{ready["listen"][2]}"}}' in metrics


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_reload_that_removes_or_adds_one_says_that_it_needs_a_restart(
    workers: int, tmp_path: Path
) -> None:
    """Sockets are opened at the start. Until the next one all is as it was, in new gateway
    processes as well."""
    issue(tmp_path, "a", HOST)
    gateway = gateway_of(workers, redirect="127.0.0.1:0")
    file = configuration(tmp_path, {"web": app()}, gateway=gateway)
    async with tidegate(file) as running:
        before = file.read_text()
        for after in ("[]", "[127.0.0.1:1, 127.0.0.1:2]"):
            file.write_text(before.replace("redirect: 127.0.0.1:0", f"redirect: {after}"))
            assert file.read_text() != before
            answer = (await running.api("/v1/reload", "POST")).json
            assert answer["restart_needed"] == ["gateway.tls[0].redirect"]
            assert (await redirected(running, "/")).status == 308
            for pid in gateways_of(running):
                os.kill(pid, signal.SIGKILL)
            assert (await redirected(running, "/")).status == 308


async def test_an_address_that_is_taken_keeps_it_from_starting(tmp_path: Path) -> None:
    issue(tmp_path, "a", HOST)
    async with tidegate(configuration(tmp_path, {"web": app()})) as other:
        gateway = gateway_of(1, redirect=other.gateway)
        folder = tmp_path / "second"
        folder.mkdir()
        issue(folder, "a", HOST)
        with pytest.raises(BaseExceptionGroup) as ended:
            async with tidegate(configuration(folder, {"web": app()}, gateway=gateway)):
                pass
    assert f"cannot listen on {other.gateway}: Address already in use" in repr(
        ended.value.exceptions
    )
