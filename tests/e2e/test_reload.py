"""Changing the file while it runs: SIGHUP, the API, and a file that is wrong."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.support.running import Running, app, configuration, tidegate


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = yaml.safe_load(file.read_text())
    change(content["services"])
    file.write_text(yaml.safe_dump(content))


async def test_a_new_revision_replaces_the_old_one_without_a_lost_request(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app(scaling={"min": 2}, env={"COLOUR": "blue"})})
    async with tidegate(file) as running:
        seen: list[tuple[int, bytes]] = []
        done = asyncio.Event()

        async def client() -> None:
            while not done.is_set():
                answer = await running.get("web", "/env?name=COLOUR")
                seen.append((answer.status, answer.body))

        async def only_green() -> bool:
            present = await running.replicas("web")
            return len(present) == 2 and {b"green"} == {body for _, body in seen[-20:]}

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(client(), name=f"client {number}")
            await running.until(lambda: ready(running, 2))
            edit(file, lambda services: services["web"]["env"].update(COLOUR="green"))
            running.process.send_signal(signal.SIGHUP)
            await running.until(only_green)
            done.set()
        assert {status for status, _ in seen} == {200}
        assert {body for _, body in seen} == {b"blue", b"green"}


async def ready(running: Running, count: int) -> bool:
    return len(await running.replicas("web", "ready")) == count


async def test_a_wrong_file_changes_nothing_and_says_everything(tmp_path: Path) -> None:
    """Contract §2: the last good one stays, the error is logged, counted and shown."""
    file = configuration(tmp_path, {"web": app()})
    good = file.read_text()
    async with tidegate(file) as running:
        edit(file, lambda services: services["web"].update(drain="soon", nonsense=1))
        refused = await running.api("/v1/reload", "POST")
        assert refused.status == 422
        problems = " ".join(refused.json["problems"])
        assert "services.web.drain" in problems
        assert "services.web.nonsense" in problems
        assert f"{file}:" in problems
        assert (await running.get("web")).status == 200
        listing = (await running.api("/v1/services")).json
        assert len(listing["problems"]) == 2
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_config_reloads_total{outcome="refused"} 1.0' in metrics

        async def logged() -> bool:
            return bool(running.said("config-refused"))

        await running.until(logged)
        file.write_text(good)
        assert (await running.api("/v1/reload", "POST")).status == 200
        assert (await running.api("/v1/services")).json["problems"] == []


async def test_what_is_unwise_is_logged_at_the_start_and_with_each_reload(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app(concurrency=1)})
    async with tidegate(file) as running:
        (said,) = running.said("config-warning")
        assert "warning: services.web.concurrency: 1 is below the target" in said
        result = (await running.api("/v1/reload", "POST")).json
        assert result["ok"] is True
        assert result["warnings"] == [said]
        await running.until(lambda: warned_twice(running))
        many = {f"s{number}": app(concurrency=1) for number in range(30)}
        edit(file, lambda services: services.update(many))
        assert len((await running.api("/v1/reload", "POST")).json["warnings"]) == 31
        last = "11 more warnings: tidegate check shows them all"
        await running.until(lambda: is_last_warning(running, last))


async def test_a_start_that_took_longer_than_requests_wait_is_warned_about(tmp_path: Path) -> None:
    """Only a running Tidegate knows how long starts take here."""
    slow = app(env={"START_DELAY": "2"}, queue={"timeout": "30s"})
    file = configuration(tmp_path, {"web": slow})
    async with tidegate(file) as running:
        assert (await running.get("web")).status == 200
        edit(file, lambda services: services["web"].update(queue={"timeout": "1s"}))
        (said,) = (await running.api("/v1/reload", "POST")).json["warnings"]
        assert "warning: services.web.queue.timeout: 1s is shorter than a start took lately" in said


async def warned_twice(running: Running) -> bool:
    return len(running.said("config-warning")) == 2


async def is_last_warning(running: Running, text: str) -> bool:
    return running.said("config-warning")[-1] == text


async def test_services_come_and_go(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()})
    async with tidegate(file) as running:
        await running.get("web")
        edit(file, lambda services: services.update(api=services.pop("web")))
        applied = (await running.api("/v1/reload", "POST")).json
        assert (applied["added"], applied["removed"]) == (["api"], ["web"])
        assert (await running.get("api")).status == 200
        assert (await running.get("web")).status == 404

        async def stopped() -> bool:
            return bool(running.said("replica-stopped"))

        await running.until(stopped)


async def test_new_scaling_applies_without_a_restart(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()})
    async with tidegate(file) as running:
        await running.get("web")
        (first,) = await running.replicas("web")
        edit(file, lambda services: services["web"].update(scaling={"min": 2}))
        await running.api("/v1/reload", "POST")
        await running.until(lambda: ready(running, 2))
        assert first["id"] in [replica["id"] for replica in await running.replicas("web")]
