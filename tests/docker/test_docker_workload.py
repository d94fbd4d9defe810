"""Every field of a workload arrives in the container, as the engine's inspection shows it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from config.service import Resources, Secret
from runtimes.docker import DockerRuntime
from tests.support.docker_engine import engine, network, volume, volumes

pytestmark = pytest.mark.docker
SLEEP = ("sleep", "1000")


async def facts_of(id: str) -> dict[str, Any]:
    async with engine() as docker:
        return await docker.containers.container(id).show()


async def test_without_a_command_the_image_decides_and_a_command_overrides_it(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    plain = await runtime.start("a", Workload("web", "r1", image=busybox_image))
    told = await runtime.start(
        "b", Workload("web", "r1", image=busybox_image, command=SLEEP, port=81)
    )
    assert (await facts_of(plain.id))["Config"]["Cmd"][0] == "httpd"
    assert (await facts_of(told.id))["Config"]["Cmd"] == ["sleep", "1000"]
    assert told.address is not None
    assert told.address.port == 81


async def test_the_port_is_in_the_environment_and_in_the_command(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    command = ("sh", "-c", "test $PORT = 81 && test ${PORT} = 81 && sleep 1000", "$PORTS")
    started = await runtime.start(
        "a",
        Workload(
            "web",
            "r1",
            image=busybox_image,
            command=command,
            port=81,
            env=(("PORT", "9"), ("COLOUR", "blue=green")),
        ),
    )
    config = (await facts_of(started.id))["Config"]
    assert {"PORT=81", "COLOUR=blue=green"} <= set(config["Env"])
    assert "PORT=9" not in config["Env"]
    assert config["Cmd"][2:] == ["test 81 = 81 && test 81 = 81 && sleep 1000", "$PORTS"]


async def test_secrets_and_volumes_are_mounted(
    runtime: DockerRuntime, busybox_image: str, tmp_path: Path, owner: str
) -> None:
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "data").mkdir()
    async with volume(owner) as name:
        started = await runtime.start(
            "a",
            Workload(
                "web",
                "r1",
                image=busybox_image,
                command=SLEEP,
                secrets=(Secret(source=str(tmp_path / "secret"), target="/run/secrets/key"),),
                volumes=(f"{tmp_path}/data:/in:ro", f"{name}:/named", "/anonymous"),
            ),
        )
        mounts = {m["Destination"]: m for m in (await facts_of(started.id))["Mounts"]}
        run = runtime.execute

        assert await run(started.id, _shell("test $(cat /run/secrets/key) = s3cret"), 10) == 0
        assert await run(started.id, _shell("echo x > /run/secrets/key"), 10) != 0
        assert await run(started.id, _shell("touch /in/x"), 10) != 0
        assert await run(started.id, _shell("touch /named/x /anonymous/x"), 10) == 0
        assert mounts["/named"]["Name"] == name
        await runtime.stop(started.id, grace=0)
        left = await volumes()
        assert name in left, "a named volume outlives its replicas"
        assert mounts["/anonymous"]["Name"] not in left


async def test_limits_bound_cpu_memory_and_processes(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    limits = Resources(cpu=0.5, memory=64 << 20, pids=16)
    started = await runtime.start(
        "a", Workload("web", "r1", image=busybox_image, command=SLEEP, resources=limits)
    )
    host = (await facts_of(started.id))["HostConfig"]
    assert host["NanoCpus"] == 500_000_000
    assert host["Memory"] == 64 << 20
    assert host["MemorySwap"] == 64 << 20
    assert host["PidsLimit"] == 16


async def test_labels_are_the_operators_and_ours_win(
    runtime: DockerRuntime, busybox_image: str, owner: str
) -> None:
    labels = (("team", "blue"), ("tidegate.owner", "somebody"), ("tidegate.replica", "x"))
    started = await runtime.start(
        "web-1", Workload("web", "r7", image=busybox_image, command=SLEEP, labels=labels)
    )
    assert (await facts_of(started.id))["Config"]["Labels"] == {
        "team": "blue",
        "tidegate.owner": owner,
        "tidegate.service": "web",
        "tidegate.revision": "r7",
        "tidegate.replica": "web-1",
        "tidegate.port": "8080",
    }


async def test_a_replica_gains_no_privileges_is_not_restarted_and_its_log_is_bounded(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start("a", Workload("web", "r1", image=busybox_image, command=SLEEP))
    host = (await facts_of(started.id))["HostConfig"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"]["Type"] == "json-file"
    assert host["LogConfig"]["Config"]["max-size"] == "10m"
    assert not host["Privileged"]


async def test_the_runtimes_network_comes_first_and_the_workloads_are_joined(
    busybox_image: str, owner: str, docker_engine: str
) -> None:
    async with network(f"{owner}-z") as first, network(f"{owner}-a") as second:
        runtime = DockerRuntime(owner, network=first)
        await runtime.open()
        try:
            started = await runtime.start(
                "a",
                Workload("web", "r1", image=busybox_image, command=SLEEP, networks=(second, first)),
            )
            networks = (await facts_of(started.id))["NetworkSettings"]["Networks"]
            assert set(networks) == {first, second}
            assert started.address is not None
            assert started.address.host == networks[first]["IPAddress"]
            assert await runtime.instances() == [started]
        finally:
            for instance in await runtime.instances():
                await runtime.stop(instance.id, grace=0)
            await runtime.close()


async def test_a_replica_on_the_hosts_network_is_reached_on_loopback(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start(
        "a", Workload("web", "r1", image=busybox_image, command=SLEEP, networks=("host",))
    )
    assert str(started.address) == "127.0.0.1:8080"
    assert await runtime.instances() == [started]


async def test_a_replica_without_a_network_cannot_be_reached_and_is_refused(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    with pytest.raises(RuntimeFailure, match='no address on network "none"') as failure:
        await runtime.start(
            "a", Workload("web", "r1", image=busybox_image, command=SLEEP, networks=("none",))
        )
    assert failure.value.code == "bad-workload"
    assert await runtime.instances() == []


def _shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


CONFINED = Workload(
    "web",
    "r1",
    command=("sh", "-c", "sleep 1000"),
    user="1234:2345",
    read_only=True,
    cap_drop=("ALL",),
    cap_add=("NET_BIND_SERVICE",),
    tmpfs=("/scratch:size=64k,mode=1777",),
    init=False,
)


async def test_it_is_confined_as_the_operator_asked(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    """Seen from inside: the kernel's word, not the engine's."""
    started = await runtime.start("a", replace(CONFINED, image=busybox_image))

    async def holds(words: str) -> bool:
        return await runtime.execute(started.id, ("sh", "-c", words), timeout=20) == 0

    status = "$(cat /proc/1/status)"
    assert await holds('test "$(id -u):$(id -g)" = 1234:2345')
    assert await holds("touch /scratch/file")
    assert not await holds("touch /file")
    assert not await holds("cat /dev/zero > /scratch/large")
    assert await holds(f'case "{status}" in *NoNewPrivs:?1*) ;; *) false ;; esac')
    # CAP_NET_BIND_SERVICE is bit 10; the bounding set is what it could ever have.
    assert await holds(f'case "{status}" in *CapBnd:?0000000000000400*) ;; *) false ;; esac')


async def test_unless_asked_it_gains_no_privileges_all_the_same(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start("a", Workload("web", "r1", image=busybox_image, command=SLEEP))
    words = 'case "$(cat /proc/1/status)" in *NoNewPrivs:?1*) ;; *) false ;; esac'
    assert await runtime.execute(started.id, ("sh", "-c", words), timeout=20) == 0
    host = (await facts_of(started.id))["HostConfig"]
    assert host["Privileged"] is False
    assert host["PidMode"] == host["UTSMode"] == ""
    assert host["IpcMode"] in ("private", "shareable")
    assert not host["Devices"]
    assert not any("docker.sock" in str(mount) for mount in (host["Binds"], host.get("Mounts")))


async def test_a_secret_is_a_mount_and_its_content_is_nowhere_in_the_inspection(
    runtime: DockerRuntime, busybox_image: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("canary-secret-file")
    secret = Secret(source=str(tmp_path / "secret"), target="/run/secrets/key")
    started = await runtime.start(
        "a", Workload("web", "r1", image=busybox_image, command=SLEEP, secrets=(secret,))
    )
    assert "canary-secret-file" not in str(await facts_of(started.id))
    write = ("sh", "-c", "echo x > /run/secrets/key")
    assert await runtime.execute(started.id, write, timeout=20) != 0
    read = ("sh", "-c", 'test "$(cat /run/secrets/key)" = canary-secret-file')
    assert await runtime.execute(started.id, read, timeout=20) == 0
