"""The body of `POST /containers/create` (Docker Engine API 1.41, "Create a container")."""

import pytest

from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from runtimes.docker_spec import Spec, container_name, create_spec, networks_of


def volume_spec(volume: str) -> Spec:
    workload = Workload("web", "r1", image="web:1", volumes=(volume,))
    return dict(create_spec("me", "a", workload)["HostConfig"])


def mount(kind: str, source: str, target: str, *, ro: bool = False, **more: object) -> Spec:
    return {"Type": kind, "Source": source, "Target": target, "ReadOnly": ro, **more}


MOUNTS = [
    ("/host:/in", mount("bind", "/host", "/in")),
    ("/host:/in:ro", mount("bind", "/host", "/in", ro=True)),
    ("/host:/in:rw,cached", mount("bind", "/host", "/in")),
    (
        "/host:/in:ro,rslave",
        mount("bind", "/host", "/in", ro=True, BindOptions={"Propagation": "rslave"}),
    ),
    ("name:/in", mount("volume", "name", "/in")),
    ("name:/in:ro,nocopy", mount("volume", "name", "/in", ro=True, VolumeOptions={"NoCopy": True})),
    ("/in", mount("volume", "", "/in")),
    ("./data:/in", mount("bind", "./data", "/in")),
    (r"C:\data:/in:ro", mount("bind", r"C:\data", "/in", ro=True)),
]


@pytest.mark.parametrize(("volume", "expected"), MOUNTS, ids=[m[0] for m in MOUNTS])
def test_a_volume_is_mounted_as_compose_would(volume: str, expected: Spec) -> None:
    assert volume_spec(volume)["Mounts"] == [expected]


def test_selinux_labels_can_only_be_said_as_a_bind() -> None:
    config = volume_spec("/host:/in:ro,z")
    assert config["Binds"] == ["/host:/in:ro,z"]
    assert config["Mounts"] == []


@pytest.mark.parametrize("volume", ["", "name", "name:in", "a:b:c:d", "/host:/in:fast"])
def test_a_volume_that_says_nothing_sensible_is_refused_by_name(volume: str) -> None:
    with pytest.raises(RuntimeFailure) as failure:
        volume_spec(volume)
    assert failure.value.code == "bad-workload"
    assert f'volume "{volume}"' in failure.value.message


def test_a_workload_without_an_image_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="web: the docker runtime needs an image") as failure:
        create_spec("me", "a", Workload("web", "r1", command=("x",)))
    assert failure.value.code == "bad-workload"


def test_a_replica_is_told_who_it_is() -> None:
    workload = Workload("web", "r1", image="web:1", env=(("TIDEGATE_REPLICA", "x"), ("A", "b")))
    assert create_spec("me", "web-1", workload)["Env"] == [
        "TIDEGATE_REPLICA=web-1",
        "A=b",
        "PORT=8080",
        "TIDEGATE_SERVICE=web",
        "TIDEGATE_REVISION=r1",
    ]


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://host.docker.internal:9900", ["host.docker.internal:host-gateway"]),
        ("http://172.17.0.1:9900", None),
        (None, None),
    ],
)
def test_the_engines_host_has_a_name_where_it_is_to_be_reached(
    url: str | None, hosts: list[str] | None
) -> None:
    """HostConfig.ExtraHosts; `host-gateway` since Docker 20.10."""
    env = (("TIDEGATE_URL", url),) if url else ()
    spec = create_spec("me", "web-1", Workload("web", "r1", image="web:1", env=env))
    assert spec["HostConfig"].get("ExtraHosts") == hosts


def test_no_limit_is_set_where_none_is_wanted() -> None:
    config = create_spec("me", "a", Workload("web", "r1", image="web:1"))["HostConfig"]
    assert not {"NanoCpus", "Memory", "MemorySwap", "PidsLimit", "NetworkMode"} & set(config)


def test_nothing_is_published_unless_asked_for() -> None:
    workload = Workload("web", "r1", image="web:1", port=81)
    assert "PortBindings" not in create_spec("me", "a", workload)["HostConfig"]
    published = create_spec("me", "a", workload, publish_on="10.0.0.1")["HostConfig"]
    assert published["PortBindings"] == {"81/tcp": [{"HostIp": "10.0.0.1", "HostPort": ""}]}


@pytest.mark.parametrize(
    ("first", "wanted", "joined"),
    [
        (None, (), ()),
        ("edge", (), ("edge",)),
        (None, ("a", "b"), ("a", "b")),
        ("edge", ("a", "edge"), ("edge", "a")),
    ],
)
def test_the_runtimes_network_comes_first_and_none_twice(
    first: str | None, wanted: tuple[str, ...], joined: tuple[str, ...]
) -> None:
    workload = Workload("web", "r1", image="web:1", networks=wanted)
    assert networks_of(workload, first) == joined


def test_a_name_is_one_that_the_engine_accepts() -> None:
    assert container_name("me", "web-1") == "tidegate-me-web-1"
    assert container_name("me@home", "ä b") == "tidegate-me-home--b"


def test_what_is_not_asked_for_is_not_in_the_way() -> None:
    """The body is what it was before there were such keys, but for the engine's own defaults."""
    spec = create_spec("me", "a", Workload("web", "r1", image="web:1"))
    host = spec["HostConfig"]
    assert "User" not in spec
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (False, [], [])
    assert (host["Tmpfs"], host["Init"]) == ({}, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]


def test_confinement_is_told_to_the_engine() -> None:
    workload = Workload(
        "web", "r1", image="web:1", user="app", read_only=True, cap_drop=("ALL",),
        cap_add=("CHOWN",), tmpfs=("/tmp", "/run:size=16m,mode=755"), init=True,
    )  # fmt: skip
    spec = create_spec("me", "a", workload)
    host = spec["HostConfig"]
    assert spec["User"] == "app"
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], ["CHOWN"])
    assert host["Tmpfs"] == {"/tmp": "", "/run": "size=16m,mode=755"}
    assert host["Init"] is True
    assert host["SecurityOpt"] == ["no-new-privileges"]
