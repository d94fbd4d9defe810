"""HTTPS end to end, in the control process and in a gateway process, and changing certificates."""

import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_workers import gateways_of
from tests.support.certificates import Issued, issue
from tests.support.raw_http import Client, abort, get, until
from tests.support.running import Running, app, configuration, tidegate

HOST = "web.localhost"


def gateway_of(workers: int, **tls: Any) -> dict[str, Any]:
    certificates = [{"cert": "a.pem", "key": "a.key"}]
    return {
        "listen": ["127.0.0.1:0"],
        "workers": workers,
        "tls": [{"listen": "127.0.0.1:0", "certificates": certificates, **tls}],
    }


async def connect(running: Running, trusted: bytes, name: str = HOST) -> Client:
    """Raises ssl.SSLCertVerificationError when another certificate is shown."""
    ready = [line for line in running.log if line.get("kind") == "ready"][-1]
    port = int(ready["listen"][1].rpartition(":")[2])
    context = ssl.create_default_context(cadata=trusted.decode())
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    return Client(reader, writer)


async def status(client: Client, path: str = "/") -> int:
    return (await client.ask(get(path, host=HOST))).status


@pytest.mark.parametrize("workers", [0, 1])
async def test_certificates_change_on_reload_and_no_connection_is_dropped(
    workers: int, tmp_path: Path
) -> None:
    first = issue(tmp_path, "a", HOST).cert.read_bytes()
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(workers))
    async with tidegate(file) as running:
        old = await connect(running, first)
        assert await status(old) == 200
        await old.send(get("/sleep?ms=1000", host=HOST))
        second = issue(tmp_path, "a", HOST).cert.read_bytes()
        running.process.send_signal(signal.SIGHUP)

        async def is_shown() -> bool:
            try:
                abort((await connect(running, second)).writer)
            except ssl.SSLCertVerificationError:
                return False
            return True

        await running.until(is_shown)
        assert (await old.answer()).status == 200
        assert await status(old) == 200
        abort(old.writer)


@pytest.mark.parametrize("workers", [0, 1])
async def test_a_broken_certificate_is_a_refused_reload_and_the_old_one_stays(
    workers: int, tmp_path: Path
) -> None:
    issued = issue(tmp_path, "a", HOST)
    trusted = issued.cert.read_bytes()
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(workers))
    async with tidegate(file) as running:
        issue(tmp_path, "b", "other.localhost").key.replace(issued.key)
        refused = await running.api("/v1/reload", "POST")
        assert refused.status == 422
        (problem,) = refused.json["problems"]
        assert "gateway.tls[0].certificates[0].key" in problem
        assert "does not belong to the certificate" in problem
        assert f"{file}:" in problem
        client = await connect(running, trusted)
        assert await status(client) == 200
        abort(client.writer)


async def test_a_gateway_process_that_is_replaced_shows_the_latest_certificate(
    tmp_path: Path,
) -> None:
    """Even when by then the file asks for sockets that only a restart can open."""
    issue(tmp_path, "a", HOST)
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(1))
    async with tidegate(file) as running:
        latest: Issued = issue(tmp_path, "a", HOST)
        file.write_text(file.read_text().replace("- 127.0.0.1:0\n", "- 127.0.0.1:1\n", 1))
        answer = (await running.api("/v1/reload", "POST")).json
        assert answer["restart_needed"] == ["gateway.listen"]
        (gateway,) = gateways_of(running)
        os.kill(gateway, signal.SIGKILL)
        client = await connect(running, latest.cert.read_bytes())
        assert await status(client) == 200
        abort(client.writer)


BREAKS_AFTER_THE_CHECK = """
import sys
from pathlib import Path
from tidegate import run
load = run.load

def then_break(file):
    settings = load(file)
    Path(settings.gateway.tls[0].certificates[0].cert).write_text("nonsense")
    return settings

run.load = then_break
sys.exit(run.main(Path(sys.argv[1]), log_format="json"))
"""


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_a_certificate_that_breaks_after_the_check_keeps_it_from_starting(
    workers: int, tmp_path: Path
) -> None:
    """Said as clearly as by the check, and nothing is left behind."""
    issue(tmp_path, "a", HOST)
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(workers))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BREAKS_AFTER_THE_CHECK, str(file)),
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    async with asyncio.timeout(30):
        _, told = await process.communicate()
    assert process.returncode == 1
    assert b"cannot start: cannot listen on 127.0.0.1:0: " in told
    assert f"{tmp_path / 'a.pem'} holds no certificate in PEM form".encode() in told
    assert b"Traceback" not in told
    # A gateway process that had not even come up notices by itself.
    await until(lambda: not _has_members(process.pid), "the end of its processes")


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_gateway_process_that_cannot_read_them_is_tried_until_it_can(
    tmp_path: Path,
) -> None:
    issue(tmp_path, "a", HOST)
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(1))
    async with tidegate(file) as running:
        (tmp_path / "a.pem").write_text("nonsense")
        (gateway,) = gateways_of(running)
        os.kill(gateway, signal.SIGKILL)

        async def is_told() -> bool:
            told = running.said("gateway-died")
            return any("a.pem holds no certificate in PEM form" in line for line in told)

        await running.until(is_told)
        mended = issue(tmp_path, "a", HOST).cert.read_bytes()
        client = await connect(running, mended)
        assert await status(client) == 200
        abort(client.writer)


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_certificate_that_ends_soon_is_told_at_the_start_and_on_reload(
    workers: int, tmp_path: Path
) -> None:
    issue(tmp_path, "a", HOST)
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(workers))
    metric = f'tidegate_certificate_expiry_timestamp_seconds{{certificate="{tmp_path / "a.pem"}"}} '
    async with tidegate(file) as running:

        async def is_told() -> bool:
            return len(running.said("certificate-expires")) == 1

        await running.until(is_told)
        (told,) = running.said("certificate-expires")
        assert f"{tmp_path / 'a.pem'} expires in 1 day (" in told
        soon = _value((await running.api("/metrics")).body.decode(), metric)
        issue(tmp_path, "a", HOST, days=90)
        assert (await running.api("/v1/reload", "POST")).status == 200
        late = _value((await running.api("/metrics")).body.decode(), metric)
        assert late - soon == pytest.approx(88 * 86400, abs=600)
        assert len(running.said("certificate-expires")) == 1


def _value(metrics: str, metric: str) -> float:
    (line,) = [line for line in metrics.splitlines() if line.startswith(metric)]
    return float(line.removeprefix(metric))


async def test_a_missing_certificate_keeps_it_from_starting(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(0))
    with pytest.raises(BaseExceptionGroup) as ended:
        async with tidegate(file):
            pass
    assert f"there is no file {tmp_path / 'a.pem'}" in repr(ended.value.exceptions)
