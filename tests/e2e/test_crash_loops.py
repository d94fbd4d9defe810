"""Replicas that end, and how soon and in which words everybody knows: F1, F2, F4, F6.

With real processes, and with the real engine where only that knows (out of memory).
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.test_docker import on_docker, service
from tests.support.docker_engine import App, docker_app, docker_engine
from tests.support.running import Running, app, configuration, tidegate, write

__all__ = ["docker_app", "docker_engine"]


def program(text: str, **changes: Any) -> dict[str, Any]:
    return {"command": [sys.executable, "-c", text], **changes}


async def trouble_of(running: Running, name: str, code: str) -> dict[str, Any]:
    """Once it is that."""
    found: dict[str, Any] = {}

    async def there() -> bool:
        found.update((await running.service(name))["trouble"] or {})
        return found.get("code") == code

    await running.until(there)
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("raise SystemExit(127)", "exited with code 127 (command not found)"),
    ],
)
async def test_how_it_ended_is_said_in_words(tmp_path: Path, text: str, words: str) -> None:
    async with tidegate(configuration(tmp_path, {"web": program(text)})) as running:
        answer = await running.get("web")
        assert answer.status == 503
        assert words in answer.json["detail"]
        assert words in (await running.service("web"))["trouble"]["message"]

        async def is_logged() -> bool:
            return any(words in line for line in running.said("replica-failed"))

        await running.until(is_logged)


async def test_a_crash_loop_fails_fast_and_a_changed_service_recovers_at_once(
    tmp_path: Path,
) -> None:
    """F1: no request hangs in it, and what is repaired does not wait for the back-off."""
    file = configuration(tmp_path, {"web": program("raise SystemExit(3)")})
    async with tidegate(file) as running:
        await running.get("web")
        trouble = await trouble_of(running, "web", "crash-looping")
        assert trouble["retry_after"] >= 2
        answer = await running.get("web")
        assert (answer.status, answer.json["code"]) == (503, "crash-looping")
        assert int(answer.headers["Retry-After"]) >= 2
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_trouble{code="crash-looping",service="web"} 1.0' in metrics
        write(file, {**yaml.safe_load(file.read_text()), "services": {"web": app()}})
        assert (await running.api("/v1/reload", "POST")).status == 200
        assert (await running.get("web")).status == 200
        assert "tidegate_trouble{" not in (await running.api("/metrics")).body.decode()


async def test_what_dies_soon_after_it_was_ready_loops_too(tmp_path: Path) -> None:
    """F2: each one serves, and ends."""
    text = (
        "import http.server, os, threading\n"
        "threading.Timer(0.5, os._exit, [5]).start()\n"
        "http.server.HTTPServer(('', int(os.environ['PORT'])), "
        "http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    services = {"web": program(text, scaling={"min": 1})}
    async with tidegate(configuration(tmp_path, services)) as running:
        trouble = await trouble_of(running, "web", "crash-looping")
        assert "exited with code 5" in trouble["message"]
        assert (await running.get("web")).status == 503


async def test_a_port_that_never_opens_is_given_up_and_leaves_nothing(tmp_path: Path) -> None:
    """F6."""
    health = {"startup": {"tcp": True, "deadline": "300ms"}}
    file = configuration(tmp_path, {"web": program("import time; time.sleep(1000)", health=health)})
    async with tidegate(file) as running:
        answer = await running.get("web")
        assert answer.status == 503
        assert "did not open within 300 ms" in answer.json["detail"]

        async def gone() -> bool:
            # At the same time: soon there is the next one.
            left = list((tmp_path / "state/replicas").glob("*.json"))
            return not left and not await running.replicas("web")

        await running.until(gone)


async def test_a_replica_killed_again_and_again_is_back_each_time(tmp_path: Path) -> None:
    """kill -9 from outside is no crash loop."""
    async with tidegate(configuration(tmp_path, {"web": app(scaling={"min": 1})})) as running:
        seen: set[str] = set()
        for _ in range(6):

            async def another() -> bool:
                present = await running.replicas("web", "ready")
                return bool(present) and present[0]["id"] not in seen

            await running.until(another, within=30)
            (replica,) = await running.replicas("web", "ready")
            seen.add(replica["id"])
            record = (tmp_path / f"state/replicas/{replica['id']}.json").read_text()
            os.kill(int(record.partition('"pid": ')[2].partition(",")[0]), signal.SIGKILL)
        assert (await running.get("web")).status == 200
        assert not any("failures in a row" in line for line in running.said("replica-failed"))
        assert any("killed by SIGKILL" in line for line in running.said("replica-failed"))


@pytest.mark.docker
async def test_lack_of_memory_is_told_with_the_limit(tmp_path: Path, docker_app: App) -> None:
    """F4."""
    limits = {"memory": "64MiB"}
    file = on_docker(tmp_path, {"web": service(docker_app, resources=limits)})
    async with tidegate(file) as running:
        await running.get("web")
        await running.get("web", "/memory?mib=200")

        async def told() -> bool:
            words = "killed: out of memory (its limit is 64MiB)"
            return any(words in line for line in running.said("replica-failed"))

        await running.until(told)

        async def serves() -> bool:
            # A GET is tried again, so it may have taken the replacement along.
            return (await running.get("web")).status == 200

        await running.until(serves)
