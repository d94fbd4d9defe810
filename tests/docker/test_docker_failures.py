"""A start that cannot be says why, in words that help, and leaves nothing behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from config.service import Resources, Secret
from runtimes.docker import DockerRuntime
from tests.support.docker_engine import containers_of

pytestmark = pytest.mark.docker
NOT_THERE = "/no/such/place"

# (what is changed in a good workload, code, words)
BROKEN = [
    ({"image": "tidegate-test/none:1"}, "image-missing", "docker pull tidegate-test/none:1"),
    ({"image": "Not An Image"}, "bad-workload", "invalid reference format"),
    ({"networks": ("tidegate-none",)}, "bad-workload", "tidegate-none"),
    ({"networks": ("bridge", "tidegate-none")}, "bad-workload", "tidegate-none"),
    ({"volumes": (f"{NOT_THERE}:/in",)}, "bad-workload", NOT_THERE),
    ({"volumes": ("./here:/in",)}, "bad-workload", "absolute"),
    ({"volumes": ("a b:/in",)}, "bad-workload", "a b"),
    ({"secrets": (Secret(source=NOT_THERE, target="/run/x"),)}, "bad-workload", NOT_THERE),
    ({"resources": Resources(memory=1000)}, "bad-workload", "memory"),
    ({"resources": Resources(cpu=4096)}, "bad-workload", "CPUs"),
    ({"command": ("no-such-program",)}, "start-failed", "executable file not found"),
]


@pytest.mark.parametrize(("changes", "code", "words"), BROKEN, ids=[b[2] for b in BROKEN])
async def test_what_cannot_start_is_named_and_leaves_nothing(
    runtime: DockerRuntime,
    busybox_image: str,
    owner: str,
    changes: dict[str, object],
    code: str,
    words: str,
) -> None:
    good = Workload("web", "r1", image=busybox_image, command=("sleep", "1000"))
    with pytest.raises(RuntimeFailure) as failure:
        await runtime.start("a", replace(good, **changes))  # type: ignore[arg-type]
    assert failure.value.code == code
    assert words in failure.value.message
    assert not failure.value.transient
    assert await containers_of(owner) == []


async def test_a_missing_source_is_not_made_on_the_host(
    runtime: DockerRuntime, busybox_image: str, tmp_path: Path
) -> None:
    missing = tmp_path / "data"
    workload = Workload("web", "r1", image=busybox_image, volumes=(f"{missing}:/in",))
    with pytest.raises(RuntimeFailure):
        await runtime.start("a", workload)
    assert not missing.exists()


async def test_a_command_that_a_replica_does_not_have_fails_its_probe(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start("a", Workload("web", "r1", image=busybox_image))
    assert await runtime.execute(started.id, ["no-such-program"], timeout=10) != 0


async def test_a_frozen_replica_runs_no_command(runtime: DockerRuntime, busybox_image: str) -> None:
    started = await runtime.start("a", Workload("web", "r1", image=busybox_image))
    await runtime.freeze(started.id)
    with pytest.raises(RuntimeFailure, match="paused") as failure:
        await runtime.execute(started.id, ["true"], timeout=10)
    assert failure.value.code == "unsupported"
