"""Leases on one service, and what the scaler makes of them, on virtual time."""

import asyncio

import pytest

from autoscaler.leases import LONGEST, MOST, NEVER, Lease, Leases
from autoscaler.leasing import Leasing
from config.service import Service
from tests.support.scaling_facts import Page, report, service
from tests.support.scaling_plane import WALL, Plane, in_time, with_loop


def lease(id: str, until: float, replica: str | None = None) -> Lease:
    return Lease(id, "web", until, replica)


def test_several_last_until_the_last_one_ends() -> None:
    leases = Leases()
    leases.add(lease("a", 10.0), 0.0)
    leases.add(lease("b", 30.0, "web-1"), 0.0)
    assert leases.until(0.0) == 30.0
    assert leases.replicas(0.0) == {"web-1"}
    assert [one.id for one in leases.present(9.9)] == ["a", "b"]
    assert [one.id for one in leases.present(10.0)] == ["b"]
    assert leases.until(30.0) == NEVER
    assert leases.replicas(30.0) == frozenset()


def test_given_back_is_ended_and_only_once() -> None:
    leases = Leases()
    leases.add(lease("a", 10.0), 0.0)
    assert leases.release("b", 1.0) is None
    assert leases.release("a", 1.0) == lease("a", 10.0)
    assert leases.release("a", 1.0) is None
    leases.add(lease("c", 10.0), 0.0)
    assert leases.release("c", 10.0) is None, "it has ended by itself"


@pytest.mark.parametrize("seconds", [0.0, -1.0, LONGEST + 0.1])
def test_a_lease_has_a_length(seconds: float) -> None:
    with pytest.raises(ValueError, match="at most 24h"):
        Leases().add(lease("a", 5.0 + seconds), 5.0)
    Leases().add(lease("a", 5.0 + LONGEST), 5.0)


def test_their_number_is_bounded_and_ended_ones_make_room() -> None:
    leases = Leases()
    for number in range(MOST):
        leases.add(lease(str(number), 10.0 + number), 0.0)
    with pytest.raises(ValueError, match=f"has {MOST} leases already"):
        leases.add(lease("one more", 20.0), 1.0)
    leases.add(lease("one more", 20.0), 10.0)


def leasing_of(plane: Plane, book: Page | None = None, names: str = "abcdefgh") -> Leasing:
    ids, clock = iter(names), plane.loop.time
    return Leasing(
        plane.scaler, plane.events, clock, lambda: WALL + clock(), lambda: next(ids), book or Page()
    )


def take(leasing: Leasing, seconds: float, *, wake: bool = False) -> str:
    return leasing.take("web", seconds, wake=wake, replica=None).id


FROZEN = {"freeze_after": "10s", "stop_after": "30s"}


def test_a_lease_keeps_an_idle_service_awake_and_its_idle_time_begins_at_the_end() -> None:
    async def steps() -> None:
        plane = Plane(service(idle=FROZEN))
        leasing = leasing_of(plane)

        async def story() -> None:
            plane.wake()
            plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))
            take(leasing, 100)
            await asyncio.sleep(109)
            assert (plane.desired().replicas, plane.desired().frozen) == (1, False)
            await asyncio.sleep(2)
            assert plane.desired().frozen
            assert "no lease" in plane.desired().reason
            await asyncio.sleep(18)
            assert plane.desired().replicas == 1
            await asyncio.sleep(2)
            assert plane.desired().replicas == 0

        await with_loop(plane, story())

    in_time(steps)


def test_without_a_lease_the_same_service_sleeps() -> None:
    """The story above can fail."""

    async def steps() -> None:
        plane = Plane(service(idle=FROZEN))

        async def story() -> None:
            plane.wake()
            plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))
            await asyncio.sleep(40)
            assert plane.desired().replicas == 0

        await with_loop(plane, story())

    in_time(steps)


def test_given_back_its_idle_time_begins_at_once() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"stop_after": "30s"}))
        leasing = leasing_of(plane)

        async def story() -> None:
            plane.wake()
            plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))
            first, second = take(leasing, 3600), take(leasing, 7200)
            await asyncio.sleep(60)
            assert leasing.release("web", second) is not None
            await asyncio.sleep(60)
            assert plane.desired().replicas == 1, "the first one lasts"
            assert leasing.release("web", first) is not None
            assert leasing.release("web", first) is None
            await asyncio.sleep(29)
            assert plane.desired().replicas == 1
            await asyncio.sleep(2)
            assert plane.desired().replicas == 0

        await with_loop(plane, story())

    in_time(steps)


def test_a_lease_wakes_nobody_unless_asked_to() -> None:
    async def steps() -> None:
        plane = Plane(service(initial=2))
        leasing = leasing_of(plane)

        async def story() -> None:
            take(leasing, 600)
            await asyncio.sleep(10)
            assert plane.wanted == []
            take(leasing, 600, wake=True)
            assert plane.desired().replicas == 2
            assert plane.desired().reason.startswith("woken by a lease")
            await asyncio.sleep(590)
            assert plane.desired().replicas >= 1

        await with_loop(plane, story())

    in_time(steps)


def test_a_frozen_service_stays_frozen_but_does_not_stop() -> None:
    async def steps() -> None:
        plane = Plane(service(idle=FROZEN))
        leasing = leasing_of(plane)

        async def story() -> None:
            plane.wake()
            plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))
            await asyncio.sleep(20)
            assert plane.desired().frozen
            take(leasing, 100)
            await asyncio.sleep(99)
            assert (plane.desired().replicas, plane.desired().frozen) == (1, True)
            await asyncio.sleep(2)
            assert plane.desired().replicas == 0

        await with_loop(plane, story())

    in_time(steps)


def test_a_frozen_service_is_thawed_by_a_lease_that_wakes() -> None:
    async def steps() -> None:
        plane = Plane(service(idle=FROZEN))
        leasing = leasing_of(plane)

        async def story() -> None:
            plane.wake()
            plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))
            await asyncio.sleep(20)
            take(leasing, 100, wake=True)
            assert (plane.desired().replicas, plane.desired().frozen) == (1, False)
            await asyncio.sleep(95)
            assert (plane.desired().replicas, plane.desired().frozen) == (1, False)

        await with_loop(plane, story())

    in_time(steps)


def test_a_leased_service_scales_in_to_what_is_left_of_its_load() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"stop_after": "30s"}))
        leasing = leasing_of(plane)

        async def story() -> None:
            plane.wake()
            await plane.load(30, 42)
            assert plane.desired().replicas >= 4
            take(leasing, 3600)
            await asyncio.sleep(300)
            assert plane.desired().replicas == 1
            assert "leased for another" in str(plane.scaler.explain("web", plane.loop.time()))

        await with_loop(plane, story())

    in_time(steps)


def test_the_operators_hand_wins_over_a_lease() -> None:
    async def steps() -> None:
        plane = Plane(service())
        leasing = leasing_of(plane)

        async def story() -> None:
            plane.wake()
            take(leasing, 600)
            plane.scale(0)
            await asyncio.sleep(100)
            assert plane.desired().replicas == 0
            take(leasing, 600, wake=True)
            assert plane.desired().replicas == 0
            plane.scaler.automatic("web")
            await asyncio.sleep(10)
            assert plane.desired().replicas == 0, "a lease alone wakes nobody"

        await with_loop(plane, story())

    in_time(steps)


def test_an_end_by_hand_is_no_end_under_requests_of_which_no_report_told_yet() -> None:
    """Reports come once a second: what was kept by hand may be in use right now."""

    async def steps() -> None:
        plane = Plane(service(idle={"stop_after": "30s"}))

        async def story() -> None:
            plane.scale(3)
            await asyncio.sleep(100)
            plane.scaler.automatic("web")
            await asyncio.sleep(29)
            assert plane.desired().replicas == 1
            await asyncio.sleep(2)
            assert plane.desired().replicas == 0
            plane.scale(0)
            await asyncio.sleep(10)
            plane.scaler.automatic("web")
            assert plane.desired().replicas == 0, "off was no use"

        await with_loop(plane, story())

    in_time(steps)


def test_a_busy_service_is_not_stopped_though_its_idle_time_is_nothing() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"stop_after": "0s"}))

        async def story() -> None:
            plane.wake()
            for _ in range(10):
                plane.scaler.report(report(plane.loop.time(), 1, queued=1))
                await asyncio.sleep(1)
            assert [number for _, number in plane.wanted] == [1]

        await with_loop(plane, story())

    in_time(steps)


def test_leases_survive_a_reload_and_end_with_their_service() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"stop_after": "30s"}))
        leasing = leasing_of(plane)

        async def story() -> None:
            plane.wake()
            plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))
            take(leasing, 600)
            specs = {"web": service(idle={"stop_after": "20s"})}
            plane.configure(specs)
            leasing.configure(specs)
            await asyncio.sleep(100)
            assert plane.desired().replicas == 1
            assert len(leasing.present("web")) == 1
            plane.configure({})
            leasing.configure({})
            assert leasing.present("web") == ()
            plane.configure(specs)
            plane.wake()
            plane.scaler.report(report(plane.loop.time(), 1, in_flight=0, requests=1))
            await asyncio.sleep(25)
            assert plane.desired().replicas == 0

        await with_loop(plane, story())

    in_time(steps)


def test_what_others_run_cannot_be_leased() -> None:
    async def steps() -> None:
        plane = Plane(Service(name="web", endpoints=("10.0.0.7:80",)))
        leasing = leasing_of(plane)
        with pytest.raises(ValueError, match="run by others"):
            take(leasing, 600)
        assert leasing.present("web") == ()

    in_time(steps)


@pytest.mark.parametrize("others", [(), (Service(name="web", endpoints=("10.0.0.7:80",)),)])
def test_a_lease_on_a_sleeping_service_ends_when_that_leaves_the_file(
    others: tuple[Service, ...],
) -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"stop_after": "30s"}))
        leasing = leasing_of(plane)
        take(leasing, 3600)
        for specs in ({one.name: one for one in others}, dict(plane.registry.specs)):
            plane.configure(specs)
            leasing.configure(specs)
        assert leasing.present("web") == ()

        async def story() -> None:
            plane.wake()
            plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))
            await asyncio.sleep(31)
            assert plane.desired().replicas == 0

        await with_loop(plane, story())

    in_time(steps)


# A restart of Tidegate


def test_a_restart_ends_none_and_takes_nothing_over_that_has_ended_or_left_the_file() -> None:
    page = Page()

    async def before() -> None:
        plane = Plane(service(), service("other"), service("gone"))
        leasing = leasing_of(plane, page)
        take(leasing, 10.0)
        given_back = take(leasing, 900.0)
        leasing.take("web", 600.0, wake=False, replica="web-1")
        leasing.take("gone", 600.0, wake=False, replica=None)
        leasing.release("web", given_back)
        await asyncio.sleep(0)

    async def after() -> None:
        plane = Plane(service(idle={"stop_after": "1s"}))
        leasing = leasing_of(plane, page)

        async def story() -> None:
            await asyncio.sleep(20)
            plane.scaler.adopt("web", 1)
            leasing.restore(plane.scaler._specs)
            assert [(one.until, one.replica) for one in leasing.present("web")] == [(600, "web-1")]
            assert leasing.replicas("web") == {"web-1"}
            assert not leasing.present("gone")
            await asyncio.sleep(700)

        await with_loop(plane, story())
        assert plane.wanted[-1] == (601.0, 0)

    in_time(before)
    in_time(after)


def test_one_that_is_taken_while_tidegate_starts_leaves_those_from_before_in_the_book() -> None:
    """The API answers before it is known what runs, and so before they are restored."""
    page = Page()

    async def before() -> None:
        take(leasing_of(Plane(service()), page), 600.0)

    async def after() -> None:
        plane = Plane(service())
        leasing = leasing_of(plane, page, "xyz")
        leasing.take("web", 300.0, wake=False, replica="web-2")
        assert [kept.replica for kept in page.read()] == [None, "web-2"]
        plane.scaler.adopt("web", 1)
        leasing.restore(plane.scaler._specs)
        leasing.take("web", 100.0, wake=False, replica="web-3")
        kept = {(kept.replica, kept.until - WALL) for kept in page.read()}
        assert kept == {(None, 600.0), ("web-2", 300.0), ("web-3", 100.0)}

    in_time(before)
    in_time(after)
