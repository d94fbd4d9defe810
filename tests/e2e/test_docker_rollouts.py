"""Rolling restarts, new revisions and roll-backs under load, on a real Docker engine.

Source: moby/moby#30321 and #31174, requests lost in rolling updates.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker_engine import App, containers_of, docker_app, docker_engine, engine
from tests.support.rollout_load import colour, edit, ids, is_in_phase, load, restart, settle
from tests.support.running import configuration, tidegate

__all__ = ["docker_app", "docker_engine"]
pytestmark = pytest.mark.docker


def web(docker: App, least: int = 2, **changes: Any) -> dict[str, Any]:
    facts = {
        "image": docker.image,
        "volumes": list(docker.volumes),
        "env": {"COLOUR": "blue"},
        "scaling": {"min": least},
        "stop_grace": "2s",
        "rollout": {"healthy_for": "100ms"},
    }
    return {**facts, **changes}


def file_of(folder: Path, service: dict[str, Any]) -> Path:
    return configuration(folder, {"web": service}, runtime="docker")


def owner_of(file: Path) -> str:
    return str(yaml.safe_load(file.read_text())["owner"])


async def is_remembered(folder: Path) -> bool:
    return os.path.exists(folder / "state" / "revisions" / "web.json")  # noqa: ASYNC240


async def test_no_request_of_any_method_fails_in_a_rolling_restart(
    tmp_path: Path, docker_app: App
) -> None:
    file = file_of(tmp_path, web(docker_app))
    async with tidegate(file) as running:
        await settle(running, 2)
        before = set(await containers_of(owner_of(file)))
        await restart(running, 2)
        assert not before & set(await containers_of(owner_of(file)))


async def test_three_new_revisions_under_load_lose_nothing(tmp_path: Path, docker_app: App) -> None:
    file = file_of(tmp_path, web(docker_app))
    async with tidegate(file) as running:
        await settle(running, 2)
        async with load(running):
            for number in range(3):
                former = (await running.service("web"))["revision"]
                colour(running, f"colour-{number}")

                async def replaced(former: str = former) -> bool:
                    present = await running.replicas("web", "ready")
                    return all(replica["revision"] != former for replica in present)

                await running.until(replaced)
                await settle(running, 2)
                answer = await running.get("web", "/env?name=COLOUR")
                assert answer.body == f"colour-{number}".encode()


async def test_an_image_that_is_missing_is_rolled_back_and_the_old_one_serves(
    tmp_path: Path, docker_app: App
) -> None:
    file = file_of(tmp_path, web(docker_app))
    async with tidegate(file) as running:
        await settle(running, 2)
        before = await ids(running)
        await running.until(lambda: is_remembered(tmp_path))
        async with load(running):
            edit(file, lambda all_: all_["web"].update(image="tidegate-test/no-such:1"))
            running.process.send_signal(signal.SIGHUP)
            await running.until(lambda: is_in_phase(running, "rolled-back"))
        assert await ids(running) == before
        assert len(await containers_of(owner_of(file))) == 2


async def test_a_container_that_ignores_sigterm_is_killed_after_its_grace(
    tmp_path: Path, docker_app: App
) -> None:
    deaf = {"COLOUR": "blue", "IGNORE_TERM": "1"}
    file = file_of(tmp_path, web(docker_app, least=1, env=deaf, stop_grace="1s"))
    async with tidegate(file) as running:
        await settle(running, 1)
        (before,) = await containers_of(owner_of(file))
        async with load(running):
            assert (await running.api("/v1/services/web/restart", "POST")).status == 202

            async def is_gone() -> bool:
                present = await containers_of(owner_of(file))
                return len(present) == 1 and before not in present

            await running.until(is_gone)
        await settle(running, 1)


async def test_a_restart_goes_on_in_the_next_tidegate_and_is_not_begun_anew(
    tmp_path: Path, docker_app: App
) -> None:
    """The first one is killed in the middle; containers live on and are adopted."""
    slow = {"healthy_for": "1s"}
    file = file_of(tmp_path, web(docker_app, least=3, rollout=slow))
    async with tidegate(file) as running:
        await settle(running, 3)
        before = set(await containers_of(owner_of(file)))
        assert (await running.api("/v1/services/web/restart", "POST")).status == 202

        async def half_way() -> bool:
            present = set(await containers_of(owner_of(file)))
            return bool(present - before) and bool(before - present)

        await running.until(half_way)
        running.process.send_signal(signal.SIGKILL)
        await running.process.wait()
    first = set(await containers_of(owner_of(file))) - before
    async with tidegate(file) as running:

        async def finished() -> bool:
            present = set(await containers_of(owner_of(file)))
            return not present & before and len(running.said("rollout-completed")) == 1

        # As many as were found are wanted at first: the one beside the desired count as well.
        await running.until(finished)
        after = set(await containers_of(owner_of(file)))
        assert after & first, "what was new is not replaced again"
        await asyncio.sleep(3)
        assert set(await containers_of(owner_of(file))) == after, "and nothing else is"
    async with engine() as docker:
        left = await docker.containers.list(
            all=True, filters={"label": [f"tidegate.owner={owner_of(file)}"]}
        )
        assert left == []
