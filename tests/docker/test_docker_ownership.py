"""What is ours is found again; what is not is never seen, adopted or touched."""

import asyncio

import pytest

from cluster.model import InstanceStatus
from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from runtimes.docker import DockerRuntime
from runtimes.docker_spec import container_name, create_spec
from tests.support.docker_engine import engine

pytestmark = pytest.mark.docker


@pytest.fixture
def workload(busybox_image: str) -> Workload:
    return Workload("web", "r1", image=busybox_image, command=("sleep", "1000"))


async def test_a_create_whose_answer_was_lost_is_adopted_and_started(
    runtime: DockerRuntime, workload: Workload, owner: str
) -> None:
    async with engine() as docker:
        made = await docker.containers.create(
            create_spec(owner, "a", workload), name=container_name(owner, "a")
        )
    started = await runtime.start("a", workload)
    assert started.id == made.id
    assert started.status is InstanceStatus.RUNNING
    assert started.address is not None


async def test_a_frozen_replica_is_adopted_as_it_is(
    runtime: DockerRuntime, workload: Workload
) -> None:
    started = await runtime.start("a", workload)
    await runtime.freeze(started.id)
    again = await runtime.start("a", workload)
    assert (again.id, again.status) == (started.id, InstanceStatus.FROZEN)
    assert again.address == started.address


async def test_a_strangers_container_with_the_name_stays_and_is_named(
    runtime: DockerRuntime, workload: Workload, owner: str
) -> None:
    name = container_name(owner, "a")
    async with engine() as docker:
        stranger = await docker.containers.create(
            {"Image": workload.image, "Cmd": ["sleep", "1000"]}, name=name
        )
        try:
            with pytest.raises(RuntimeFailure, match=f"docker rename {name}") as failure:
                await runtime.start("a", workload)
            assert failure.value.code == "start-failed"
            assert (await stranger.show())["State"]["Status"] == "created"
        finally:
            await stranger.delete(force=True)


async def test_owners_whose_names_are_spelled_alike_do_not_adopt_each_others(
    runtime: DockerRuntime, workload: Workload, owner: str
) -> None:
    other = DockerRuntime(f"{owner}-a")
    await other.open()
    try:
        ours = await runtime.start("a-b", workload)
        with pytest.raises(RuntimeFailure, match="not ours"):
            await other.start("b", workload)
        assert await runtime.instances() == [ours]
    finally:
        await other.close()


async def test_labels_of_ours_without_an_owner_are_ignored(
    runtime: DockerRuntime, workload: Workload, owner: str
) -> None:
    labels = create_spec(owner, "a", workload)["Labels"]
    incomplete = {"tidegate.owner": owner, "tidegate.service": "web"}
    del labels["tidegate.owner"]
    async with engine() as docker:
        made = [
            await docker.containers.create({"Image": workload.image, "Labels": some})
            for some in (labels, incomplete)
        ]
        try:
            assert await runtime.instances() == []
            for container in made:
                await runtime.stop(container.id, grace=0)
                assert (await container.show())["State"]["Status"] == "created"
        finally:
            for container in made:
                await container.delete(force=True)


async def test_a_cancelled_start_does_not_take_away_what_was_there(
    runtime: DockerRuntime, workload: Workload
) -> None:
    started = await runtime.start("a", workload)
    for delay in (0, 0.002, 0.005):
        async with asyncio.TaskGroup() as group:
            again = group.create_task(runtime.start("a", workload))
            await asyncio.sleep(delay)
            again.cancel()
        assert await runtime.instances() == [started]


async def test_copied_labels_do_not_make_a_container_ours(
    runtime: DockerRuntime, workload: Workload, owner: str
) -> None:
    """All labels of one that runs, on a container of somebody else's: as after docker commit."""
    ours = await runtime.start("a", workload)
    async with engine() as docker:
        facts = await docker.containers.container(ours.id).show()
        config = {"Image": workload.image, "Cmd": ["sleep", "1000"]}
        copy = await docker.containers.create(
            {**config, "Labels": facts["Config"]["Labels"]}, name=f"copy-of-{owner}"
        )
        try:
            await copy.start()
            assert await runtime.instances() == [ours]
            await runtime.stop(copy.id, grace=0)
            assert (await copy.show())["State"]["Running"] is True
        finally:
            await copy.delete(force=True)


async def test_the_marks_of_an_image_do_not_make_its_containers_ours(
    runtime: DockerRuntime, workload: Workload, owner: str
) -> None:
    ours = await runtime.start("a", workload)
    image = f"tidegate-test/committed:{owner}"
    async with engine() as docker:
        await docker.containers.container(ours.id).commit(
            repository="tidegate-test/committed", tag=owner
        )
        copy = None
        try:
            copy = await docker.containers.create({"Image": image, "Cmd": ["sleep", "1000"]})
            labels = (await copy.show())["Config"]["Labels"]
            assert labels["tidegate.owner"] == owner, "the engine no longer passes them on"
            await copy.start()
            assert await runtime.instances() == [ours]
        finally:
            if copy is not None:
                await copy.delete(force=True)
            await docker.images.delete(image, force=True)
