"""Reading what the engine tells: shapes of the listing and of an inspection (API 1.41)."""

from typing import Any

import pytest

from cluster.model import Address, Exit, InstanceHealth, InstanceStatus, Usage
from runtimes.docker_view import exit_of, inspected, listed, used

LABELS = {
    "tidegate.owner": "me",
    "tidegate.service": "web",
    "tidegate.revision": "r1",
    "tidegate.replica": "web-1",
    "tidegate.port": "8080",
}


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "Id": "c1",
        "Names": ["/tidegate-me-web-1"],
        "Labels": LABELS,
        "State": "running",
        "Created": 1700000000,
        "Ports": [{"PrivatePort": 8080, "Type": "tcp"}],
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
        **changes,
    }


def inspection(status: str = "running", **state: Any) -> dict[str, Any]:
    return {
        "Id": "c1",
        "Name": "/tidegate-me-web-1",
        "Config": {"Labels": LABELS},
        "Created": "2023-11-14T22:13:20.987654321Z",
        "State": {"Status": status, "ExitCode": 0, "OOMKilled": False, "Error": "", **state},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Ports": {}, "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    }


def test_the_listing_and_the_inspection_tell_the_same() -> None:
    assert listed(entry(), "me", None) == inspected(inspection(), "me", None)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("running", InstanceStatus.RUNNING),
        ("paused", InstanceStatus.FROZEN),
        ("created", InstanceStatus.EXITED),
        ("exited", InstanceStatus.EXITED),
        ("dead", InstanceStatus.EXITED),
    ],
)
def test_each_state_of_the_engine_is_one_of_ours(state: str, status: InstanceStatus) -> None:
    instance = listed(entry(State=state), "me", None)
    assert instance is not None
    assert instance.status is status
    assert (instance.address is None) is (status is InstanceStatus.EXITED)


def test_what_is_being_removed_is_gone() -> None:
    assert listed(entry(State="removing"), "me", None) is None
    assert inspected(inspection("removing"), "me", None) is None


@pytest.mark.parametrize("missing", [label for label in LABELS if label != "tidegate.port"])
def test_without_all_marks_it_is_not_ours(missing: str) -> None:
    labels = {label: value for label, value in LABELS.items() if label != missing}
    assert listed(entry(Labels=labels), "me", None) is None


@pytest.mark.parametrize(
    "names", [["/tidegate-me-web-2"], ["/web"], [], None, ["/x-tidegate-me-web-1"]]
)
def test_copied_marks_under_another_name_are_not_ours(names: list[str] | None) -> None:
    assert listed(entry(Names=names), "me", None) is None
    name = names[0] if names else None
    assert inspected({**inspection(), "Name": name}, "me", None) is None


def test_a_link_gives_a_container_more_names() -> None:
    assert listed(entry(Names=["/other/alias", "/tidegate-me-web-1"]), "me", None) is not None


def test_another_owners_is_not_ours_nor_is_one_without_labels() -> None:
    assert listed(entry(), "you", None) is None
    assert listed(entry(Labels=None), "me", None) is None


NETWORKS = [
    ("b", {"a": {"IPAddress": "10.1.0.2"}, "b": {"IPAddress": "10.2.0.2"}}, "10.2.0.2"),
    ("4f1c", {"b": {"IPAddress": "10.2.0.2"}}, "10.2.0.2"),
    ("b", {"b": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"}}, "fd00::2"),
    ("host", {"host": {"IPAddress": ""}}, "127.0.0.1"),
    ("none", {"none": {"IPAddress": ""}}, None),
    ("b", None, None),
]


@pytest.mark.parametrize(("mode", "networks", "host"), NETWORKS)
def test_the_address_is_that_on_the_first_network(
    mode: str, networks: dict[str, Any] | None, host: str | None
) -> None:
    settings = {"Networks": networks}
    instance = listed(entry(HostConfig={"NetworkMode": mode}, NetworkSettings=settings), "me", None)
    assert instance is not None
    assert instance.address == (Address(host, 8080) if host else None)


def test_a_published_port_counts_only_on_the_address_it_is_published_on() -> None:
    ports = [
        {"IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 1, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 9090, "PublicPort": 2, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 8080, "PublicPort": 3, "Type": "tcp"},
    ]
    instance = listed(entry(Ports=ports), "me", "127.0.0.1")
    assert instance is not None
    assert instance.address == Address("127.0.0.1", 3)


EXITS = [
    (inspection("exited", ExitCode=0), Exit(0)),
    (inspection("exited", ExitCode=3), Exit(3)),
    (inspection("exited", ExitCode=137, OOMKilled=True), Exit(-9, oom=True)),
    (inspection("exited", ExitCode=143), Exit(-15)),
    (inspection("exited", ExitCode=255), Exit(255)),
    (inspection("exited", ExitCode=128, Error="no"), Exit(128, message="no")),
    (inspection("created"), Exit(message="it was created but never started")),
    (inspection("created", Error="no network"), Exit(message="no network")),
]


@pytest.mark.parametrize(("facts", "expected"), EXITS)
def test_an_end_is_read_with_its_cause(facts: dict[str, Any], expected: Exit) -> None:
    assert exit_of(facts) == expected


@pytest.mark.parametrize(
    ("memory", "usage"),
    [
        ({"usage": 1000, "stats": {"total_inactive_file": 300, "inactive_file": 1}}, 700),
        ({"usage": 1000, "stats": {"inactive_file": 400}}, 600),
        ({"usage": 1000}, 1000),
        ({"usage": 100, "stats": {"inactive_file": 400}}, 0),
    ],
)
def test_memory_is_told_without_idle_file_pages(memory: dict[str, Any], usage: int) -> None:
    """As the engine's own client has it: cgroup v1, v2, none told, more than there is."""
    stats = {"memory_stats": memory, "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}}}
    assert used(stats) == Usage(1.5, usage)


def test_a_container_that_does_not_run_uses_nothing_that_could_be_told() -> None:
    stats = {"memory_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}}}
    assert used(stats) is None


@pytest.mark.parametrize(
    ("words", "health"),
    [
        ("Up 3 seconds", None),
        ("Up Less than a second (health: starting)", InstanceHealth.STARTING),
        ("Up 5 minutes (healthy)", InstanceHealth.HEALTHY),
        ("Up 5 minutes (unhealthy)", InstanceHealth.UNHEALTHY),
        ("Up 5 seconds (Paused)", None),
    ],
)
def test_the_listing_tells_health_in_words_for_people(
    words: str, health: InstanceHealth | None
) -> None:
    instance = listed(entry(Status=words), "me", None)
    assert instance is not None
    assert instance.health is health


PASSED, FAILED = {"ExitCode": 0}, {"ExitCode": 1}


@pytest.mark.parametrize(
    ("told", "health"),
    [
        (None, None),
        ({"Status": "none"}, None),
        ({"Status": "starting", "FailingStreak": 1}, InstanceHealth.STARTING),
        ({"Status": "healthy", "FailingStreak": 0}, InstanceHealth.HEALTHY),
        ({"Status": "unhealthy", "FailingStreak": 5}, InstanceHealth.UNHEALTHY),
        ({"Status": "unhealthy"}, InstanceHealth.UNHEALTHY),
        # The engine calls unhealthy what it has just thawed.
        ({"Status": "unhealthy", "FailingStreak": 1, "Log": [PASSED, FAILED]},
         InstanceHealth.HEALTHY),
        ({"Status": "unhealthy", "FailingStreak": 0, "Log": []}, InstanceHealth.STARTING),
    ],
)  # fmt: skip
def test_an_inspected_container_is_unhealthy_after_as_many_failures_as_it_takes(
    told: dict[str, Any] | None, health: InstanceHealth | None
) -> None:
    instance = inspected(inspection(Health=told), "me", None)
    assert instance is not None
    assert instance.health is health
