"""One table, one snapshot for each service, told to everybody before the writer goes on."""

import pytest

from cluster.lifecycle import Event, State
from cluster.messages import Endpoint, EndpointSnapshot
from cluster.model import Address, Desired, Mode, Replica, Trouble
from cluster.registry import Registry
from config.scaling import Idle, Scaling
from config.service import Service
from tests.cluster.builders import a_service

HERE = Address("127.0.0.1", 4000)


def starting(name: str, port: int = 4000) -> Replica:
    return Replica(name, "web", "r1", State.STARTING, 0, 0, f"i-{name}", Address(HERE.host, port))


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.configure({"web": a_service()})
    return registry


@pytest.fixture
def told(registry: Registry) -> list[EndpointSnapshot]:
    told: list[EndpointSnapshot] = []
    registry.on_snapshot(told.append)
    return told


def names(snapshot: EndpointSnapshot) -> list[str]:
    return [endpoint.replica for endpoint in snapshot.endpoints]


def troubles(told: list[EndpointSnapshot]) -> Trouble | None:
    return told[-1].trouble


def test_a_service_never_used_has_no_record(registry: Registry) -> None:
    assert registry.desired("web").replicas == 0
    assert registry.replicas("web") == ()
    assert list(registry.used_services()) == []


def test_only_ready_replicas_are_endpoints(
    registry: Registry, told: list[EndpointSnapshot]
) -> None:
    registry.add(starting("a"))
    assert told == []
    registry.advance("a", Event.PASSED, "port open", 1.5)
    assert list(told[-1].endpoints) == [Endpoint("a", HERE, "r1")]
    registry.advance("a", Event.UNREADY, "503", 2)
    assert told[-1].endpoints == ()
    registry.advance("a", Event.PASSED, "200", 3)
    assert names(told[-1]) == ["a"]
    registry.advance("a", Event.DRAIN, "too many", 4)
    assert told[-1].endpoints == ()


def test_endpoints_are_oldest_first_and_versions_grow(
    registry: Registry, told: list[EndpointSnapshot]
) -> None:
    for name in "abc":
        registry.add(starting(name))
    for name in "cab":
        registry.advance(name, Event.PASSED, "", 1)
    assert names(told[-1]) == ["a", "b", "c"]
    assert [snapshot.version for snapshot in told] == sorted({s.version for s in told})


def test_nothing_is_told_when_nothing_changed(
    registry: Registry, told: list[EndpointSnapshot]
) -> None:
    registry.add(starting("a"))
    registry.advance("a", Event.PASSED, "", 1)
    before = len(told)
    registry.want("web", Desired(3))
    registry.add(starting("b"))
    registry.eject("b", ejected=True)
    assert len(told) == before


def test_an_ejected_replica_is_out_until_let_back(
    registry: Registry, told: list[EndpointSnapshot]
) -> None:
    registry.add(starting("a"))
    registry.advance("a", Event.PASSED, "", 1)
    registry.eject("a", ejected=True)
    assert told[-1].endpoints == ()
    assert registry.is_ejected("a")
    registry.eject("a", ejected=False)
    assert names(told[-1]) == ["a"]


def test_late_news_changes_nothing(registry: Registry) -> None:
    assert registry.advance("nobody", Event.PASSED, "", 1) is False
    registry.add(starting("a"))
    registry.advance("a", Event.DRAIN, "", 1)
    assert registry.advance("a", Event.PASSED, "", 2) is False
    known = registry.replica("a")
    assert known is not None
    assert known.state is State.DRAINING


def test_trouble_is_not_told_while_a_replica_is_on_its_way(
    registry: Registry, told: list[EndpointSnapshot]
) -> None:
    trouble = Trouble("start-failed", "exited with code 1", 2)
    registry.set_trouble("web", trouble)
    assert troubles(told) == trouble
    registry.add(starting("a"))
    assert troubles(told) is None
    registry.advance("a", Event.EXITED, "", 1)
    assert troubles(told) == trouble


def test_what_may_not_be_awake_is_told_whatever_there_is(
    registry: Registry, told: list[EndpointSnapshot]
) -> None:
    off = Trouble("switched-off", "The service is switched off.", 60)
    registry.set_trouble("web", Trouble("start-failed", "exited with code 1", 2))
    registry.want("web", Desired(0, Mode.MANUAL, "0 by hand", refusal=off))
    assert troubles(told) == off
    registry.add(starting("a"))
    assert troubles(told) == off
    registry.want("web", Desired(1, Mode.STABLE))
    assert troubles(told) is None
    registry.forget("a")
    assert troubles(told) == Trouble("start-failed", "exited with code 1", 2)


def test_start_seconds_are_measured_and_smoothed(registry: Registry) -> None:
    assert registry.start_seconds("web") is None
    registry.add(starting("a"))
    registry.advance("a", Event.PASSED, "", 2.0)
    assert registry.start_seconds("web") == 2.0
    registry.add(starting("b"))
    registry.advance("b", Event.PASSED, "", 1.0)
    assert registry.start_seconds("web") == pytest.approx(1.7)


def test_forgetting_leaves_nothing(registry: Registry, told: list[EndpointSnapshot]) -> None:
    registry.add(starting("a"))
    registry.advance("a", Event.PASSED, "", 1)
    registry.eject("a", ejected=True)
    registry.forget("a")
    registry.forget("a")
    assert registry.replicas("web") == ()
    assert not registry.is_ejected("a")
    assert told[-1].endpoints == ()


def test_listeners_hear_of_wishes_and_specs(registry: Registry) -> None:
    heard: list[str] = []
    registry.on_service(heard.append)
    registry.want("web", Desired(1))
    registry.want("web", Desired(1))
    registry.configure({})
    assert heard == ["web", "web"]


def test_a_replica_is_announced_only_when_its_snapshot_is_out(registry: Registry) -> None:
    order: list[str] = []
    registry.on_snapshot(lambda snapshot: order.append("snapshot"))
    registry.on_replica(lambda replica: order.append(replica.state))
    registry.add(starting("a"))
    registry.advance("a", Event.PASSED, "", 1)
    assert order == ["starting", "snapshot", "ready"]


@pytest.mark.parametrize(
    ("desired", "seconds"),
    [
        (Desired(0, Mode.IDLE, frozen=False), 60.0),
        (Desired(1, Mode.IDLE, frozen=True), 5.0),
        (Desired(0, Mode.MANUAL), None),
        (Desired(1, Mode.STABLE), None),
        (Desired(3, Mode.PANIC), None),
    ],
)
def test_only_a_service_that_falls_asleep_has_its_silent_streams_ended(
    registry: Registry, desired: Desired, seconds: float | None
) -> None:
    scaling = Scaling(idle=Idle(freeze_after=5.0, stop_after=60.0))
    registry.configure({"web": Service(name="web", command=("x",), scaling=scaling)})
    registry.add(starting("a"))
    registry.advance("a", Event.PASSED, "", 1)
    assert registry.snapshot("web").ends_silent is None
    registry.want("web", desired)
    assert registry.snapshot("web").ends_silent == seconds


def test_a_frozen_replica_is_told(registry: Registry) -> None:
    registry.add(starting("a"))
    registry.advance("a", Event.PASSED, "", 1)
    assert not registry.snapshot("web").frozen
    registry.advance("a", Event.FREEZE, "idle", 2)
    assert registry.snapshot("web").frozen
