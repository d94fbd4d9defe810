"""The admin API of a whole Tidegate, fuzzed by schemathesis against its own description.

It sends what the description allows and what it forbids, also in sequences (a lease is taken,
given back, and asked for again), and holds every answer against the description: its status, media
type and schema; that wrong data is refused, right data taken, the token demanded; that none is 5xx.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.running import Running, app, configuration, tidegate

HERE = Path(__file__).parent
TOKEN = "fuzzed-token"
LONGEST = 240  # seconds; it takes about 15 alone
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SERVICES = {
    "web": app(scaling={"min": 1, "max": 2}, drain="1s", stop_grace="1s"),
    "asleep": app(scaling={"max": 1}, drain="1s", stop_grace="1s"),
    "theirs": {"endpoints": ["127.0.0.1:1"]},
    "broken": {"command": ["false"]},
}


async def fuzz(running: Running, token: str | None) -> None:
    """Fails with what schemathesis reports when it found anything."""
    arguments = ["run", f"http://{running.admin}/openapi.json", "--seed", "1", "--no-color"]
    # It would replace the process that is asked (tests/e2e/test_upgrade.py does).
    arguments += ["--exclude-path", "/v1/upgrade"]
    if token:
        arguments += ["-H", f"Authorization: Bearer {token}"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml"), *arguments),
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.api.hooks", "PYTHONPATH": os.getcwd()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LONGEST):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = output.decode()
    assert "API Operations" in report, report
    assert process.returncode == 0, f"schemathesis found:\n{report}"


@pytest.mark.timeout(LONGEST + 60)
async def test_nothing_that_is_sent_gets_an_answer_that_is_not_described(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    admin = {"listen": "127.0.0.1:0", "token_file": str(file)}
    async with tidegate(configuration(tmp_path, SERVICES, admin=admin)) as running:
        await fuzz(running, TOKEN)
        assert [line for line in running.log if line.get("level") == "error"] == []
        answer = await running.api("/v1/services", headers=BEARER)
        assert [service["name"] for service in answer.json["services"]] == list(SERVICES)
        assert await running.end() == 0


@pytest.mark.timeout(LONGEST + 60)
async def test_the_fuzzer_finds_what_is_wrong(tmp_path: Path) -> None:
    """With a token that is not the right one, everything is 401: it must say so."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    admin = {"listen": "127.0.0.1:0", "token_file": str(file)}
    async with tidegate(configuration(tmp_path, {"web": app()}, admin=admin)) as running:
        with pytest.raises(AssertionError):
            await fuzz(running, "wrong")
