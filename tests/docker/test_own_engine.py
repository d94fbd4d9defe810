"""An engine of the test's own (tests/support/own_engine.py) ends and comes back as it is told."""

import pytest

from runtimes.docker import DockerRuntime
from tests.support.own_engine import OwnEngine, own_engine, own_engine_fixture

__all__ = ["own_engine_fixture"]

pytestmark = pytest.mark.docker


async def test_killed_without_live_restore_its_containers_end_when_it_is_back(
    own_engine: OwnEngine, owner: str
) -> None:
    app = await own_engine.build_app()
    runtime = DockerRuntime(owner, url=own_engine.url)
    await runtime.open()
    await runtime.start("a", app.workload("web"))
    await own_engine.kill()
    await own_engine.start()
    assert [one.status for one in await runtime.instances()] == ["exited"]
    await runtime.close()


async def test_with_live_restore_its_containers_outlive_it(docker_engine: str, owner: str) -> None:
    async with own_engine(live_restore=True) as own:
        app = await own.build_app()
        runtime = DockerRuntime(owner, url=own.url)
        await runtime.open()
        started = await runtime.start("a", app.workload("web"))
        await own.restart()
        await own.kill()
        await own.start()
        assert [(one.id, one.status) for one in await runtime.instances()] == [
            (started.id, "running")
        ]
        await runtime.close()
