"""What a stale listing says is checked before it is believed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.model import Address, Exit, Instance, InstanceStatus
from cluster.workload import Workload
from runtimes.docker import DockerRuntime
from runtimes.docker_sightings import Sightings
from tests.support.docker_engine import engine
from tests.support.faulty_engine import FaultyEngine, Frozen


def instance(id: str, status: InstanceStatus = InstanceStatus.RUNNING) -> Instance:
    return Instance(id, f"replica-{id}", "web", "r1", status, Address("10.0.0.1", 80), 0.0)


def look(
    sightings: Sightings, listed: Sequence[Instance], truth: Mapping[str, Instance]
) -> list[Instance]:
    doubts = sightings.doubts(listed)
    return sightings.settled(listed, {id: truth.get(id) for id in doubts})


def test_the_first_listing_is_believed() -> None:
    assert Sightings().doubts([instance("a"), instance("b")]) == {}


def test_what_was_there_and_what_is_new_is_looked_at() -> None:
    sightings = Sightings()
    look(sightings, [instance("a")], {})
    assert set(sightings.doubts([instance("b")])) == {"a", "b"}


def test_what_we_started_or_removed_ourselves_is_no_doubt() -> None:
    sightings = Sightings()
    look(sightings, [instance("a")], {})
    sightings.runs("b")
    sightings.is_removed("a")
    assert set(sightings.doubts([instance("b")])) == set()
    assert look(sightings, [instance("a"), instance("b")], {}) == [instance("b")]


def test_an_event_that_the_listing_contradicts_is_looked_at_until_it_was_seen() -> None:
    sightings = Sightings()
    look(sightings, [instance("a")], {})
    sightings.heard("a", InstanceStatus.EXITED)
    assert set(sightings.doubts([instance("a")])) == {"a"}
    assert set(sightings.doubts([instance("a")])) == {"a"}  # the look itself had failed
    ended = replace(instance("a", InstanceStatus.EXITED), exit=Exit(3))
    assert look(sightings, [instance("a")], {"a": ended}) == [ended]
    assert sightings.doubts([instance("a", InstanceStatus.EXITED)]) == {}


def test_an_end_that_the_engine_does_not_know_of_yet_is_told_until_it_does() -> None:
    sightings = Sightings()
    look(sightings, [instance("a")], {})
    sightings.ends("a", Exit(-9))
    dead = replace(instance("a", InstanceStatus.EXITED), address=None, exit=Exit(-9))
    assert look(sightings, [instance("a")], {}) == [dead]
    ended = replace(instance("a", InstanceStatus.EXITED), exit=Exit(-9, message="told"))
    assert look(sightings, [replace(ended, exit=None)], {"a": ended}) == [ended]
    assert look(sightings, [instance("a")], {}) == [instance("a")], "the engine knew of it"


@pytest.mark.parametrize("begin", [Sightings.starts, Sightings.runs])
def test_what_starts_again_has_not_ended(begin: Callable[[Sightings, str], None]) -> None:
    sightings = Sightings()
    look(sightings, [instance("a")], {})
    sightings.ends("a", Exit(-9))
    begin(sightings, "a")
    assert look(sightings, [instance("a")], {}) == [instance("a")]


IDS = st.sampled_from("abcdef")
LISTS = st.frozensets(IDS)


@given(st.lists(st.tuples(LISTS, LISTS), min_size=1, max_size=20))
def test_after_the_first_one_any_listing_leads_to_the_truth_about_what_we_knew(
    rounds: list[tuple[frozenset[str], frozenset[str]]],
) -> None:
    """(what there is, what is listed): nothing is made up, and nobody known is missed."""
    sightings = Sightings()
    first = rounds[0][0]
    known = set(first)
    gone: set[str] = set()
    look(sightings, [instance(id) for id in sorted(first)], {})
    for alive, listed in rounds[1:]:
        alive = alive - gone  # an id is never used again
        truth = {id: instance(id) for id in alive}
        told = {one.id for one in look(sightings, [instance(i) for i in sorted(listed)], truth)}
        gone |= (known | listed) - alive
        assert told <= alive | (known & listed)
        assert known & alive <= told
        known = told


@pytest.mark.docker
async def test_a_listing_without_what_runs_takes_nothing_away(
    faulty: FaultyEngine, through: DockerRuntime, busybox_image: str
) -> None:
    assert await through.instances() == []
    started = await through.start("a", Workload("web", "r1", image=busybox_image))
    with faulty.on("list", Frozen()):
        assert await through.instances() == [started]
        assert await through.instances() == [started]


@pytest.mark.docker
async def test_a_listing_with_what_was_removed_brings_nothing_back(
    faulty: FaultyEngine, through: DockerRuntime, busybox_image: str
) -> None:
    """Its address may be another replica's by now."""
    ours = await through.start("a", Workload("web", "r1", image=busybox_image))
    others = await through.start("b", Workload("web", "r1", image=busybox_image))
    assert len(await through.instances()) == 2
    with faulty.on("list", Frozen()):
        await through.stop(ours.id, grace=0)
        async with engine() as docker:
            await docker.containers.container(others.id).delete(force=True)
        assert [one.id for one in await through.instances()] == [others.id]  # listed: believed
    assert await through.instances() == []
    with faulty.on("list", Frozen()):
        assert await through.instances() == []
