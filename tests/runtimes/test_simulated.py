"""The simulated engine does as scripted, in virtual time; both kinds of runtime over it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from cluster.model import Exit, InstanceStatus
from cluster.runtime import CountRuntime, Hint, InstanceRuntime, RuntimeFailure
from cluster.workload import Workload
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated_count import SimulatedCountRuntime
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.virtual_time import run

WEB = Workload("web", "r1")
NEXT = Workload("web", "r2")


def scenario(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Runs a test in virtual time."""

    def runs() -> None:
        async def whole() -> None:
            await test()

        run(whole())

    runs.__name__ = test.__name__
    return runs


def _now() -> float:
    return asyncio.get_running_loop().time()


def test_both_are_what_the_port_calls_them() -> None:
    assert isinstance(SimulatedRuntime(), InstanceRuntime)
    assert isinstance(SimulatedCountRuntime(), CountRuntime)


@scenario
async def test_each_start_follows_its_own_line_of_the_script_and_the_last_one_holds() -> None:
    engine = SimulatedEngine()
    runtime = SimulatedRuntime(engine=engine)
    failure = RuntimeFailure("image-missing", "no such image")
    engine.script("web", Behaviour(2.0, failure), Behaviour(3.0), Behaviour(0.5))
    with pytest.raises(RuntimeFailure, match="no such image"):
        await runtime.start("a", WEB)
    assert _now() == pytest.approx(2.0)
    for replica in ("b", "c", "d"):
        await runtime.start(replica, WEB)
    assert _now() == pytest.approx(2.0 + 3.0 + 0.5 + 0.5)
    assert [one.replica for one in await runtime.instances()] == ["b", "c", "d"]


@scenario
async def test_it_listens_when_scripted_counted_from_its_start() -> None:
    engine = SimulatedEngine()
    engine.script("web", Behaviour(listens_after=2.0), Behaviour(listens_after=None))
    runtime = SimulatedRuntime(engine=engine)
    first, second = await runtime.start("a", WEB), await runtime.start("b", WEB)
    assert first.address is not None
    assert second.address is not None
    await asyncio.sleep(1.9)
    assert not engine.answers(first.address)
    await asyncio.sleep(0.2)
    assert engine.answers(first.address)
    await asyncio.sleep(1000)
    assert not engine.answers(second.address)


@scenario
async def test_frozen_time_does_not_count() -> None:
    engine = SimulatedEngine(Behaviour(exits_after=10.0, exit=Exit(5)))
    runtime = SimulatedRuntime(engine=engine)
    instance = await runtime.start("a", WEB)
    await asyncio.sleep(4)
    await runtime.freeze(instance.id)
    await asyncio.sleep(100)
    await runtime.thaw(instance.id)
    await asyncio.sleep(5.9)
    assert (await runtime.instances())[0].status is InstanceStatus.RUNNING
    await asyncio.sleep(0.2)
    assert (await runtime.instances())[0].exit == Exit(5)


@pytest.mark.parametrize(
    ("stop_delay", "grace", "seconds"), [(0.0, 10, 0), (3.0, 10, 3), (30.0, 10, 10), (None, 10, 10)]
)
def test_a_stop_takes_as_long_as_scripted_but_not_longer_than_the_grace(
    stop_delay: float | None, grace: float, seconds: float
) -> None:
    async def stop() -> float:
        runtime = SimulatedRuntime(engine=SimulatedEngine(Behaviour(stop_delay=stop_delay)))
        instance = await runtime.start("a", WEB)
        before = _now()
        await runtime.stop(instance.id, grace)
        assert await runtime.instances() == []
        return _now() - before

    assert run(stop()) == pytest.approx(seconds)


@scenario
async def test_a_broken_engine_fails_every_call_and_ends_watches_until_mended() -> None:
    engine = SimulatedEngine()
    runtime = SimulatedRuntime(engine=engine)
    await runtime.start("a", WEB)
    watch = runtime.watch()
    assert await anext(watch) == Hint(None)
    engine.break_down()
    with pytest.raises(RuntimeFailure):
        await anext(watch)
    calls: list[Callable[[], Awaitable[object]]] = [
        runtime.open,
        runtime.instances,
        lambda: runtime.start("b", WEB),
        lambda: runtime.stop("simulated-1", 0),
        lambda: anext(runtime.watch()),
    ]
    for call in calls:
        with pytest.raises(RuntimeFailure) as failure:
            await call()
        assert (failure.value.code, failure.value.transient) == ("engine-unavailable", True)
    engine.mend()
    assert [one.replica for one in await runtime.instances()] == ["a"]


async def _revisions(runtime: SimulatedCountRuntime) -> dict[str, int]:
    running = [one for one in await runtime.instances() if one.exit is None]
    return dict(Counter(one.revision for one in running))


@scenario
async def test_a_count_is_reached_both_ways_and_at_zero_nothing_is_left() -> None:
    runtime = SimulatedCountRuntime(engine=SimulatedEngine(Behaviour(start_delay=2.0)))
    for count in (3, 5, 2, 0):
        await runtime.set_count(WEB, count, spare=[])
        await asyncio.sleep(10)
        assert sum((await _revisions(runtime)).values()) == count
    assert await runtime.instances() == []


@scenario
async def test_setting_a_count_again_starts_nothing_twice() -> None:
    runtime = SimulatedCountRuntime(engine=SimulatedEngine(Behaviour(start_delay=2.0)))
    for _ in range(5):
        await runtime.set_count(WEB, 3, spare=[])
        await asyncio.sleep(0.5)
    await asyncio.sleep(10)
    assert await _revisions(runtime) == {"r1": 3}


@pytest.mark.parametrize("choose_victim", [True, False])
def test_the_spare_ones_go_first_where_the_engine_heeds_them(choose_victim: bool) -> None:
    async def scaled_down() -> set[str]:
        """Which were spared over many rounds."""
        outcomes = set()
        runtime = SimulatedCountRuntime(choose_victim=choose_victim)
        for _ in range(20):
            await runtime.set_count(WEB, 4, spare=[])
            await asyncio.sleep(1)
            before = [one.id for one in await runtime.instances()]
            await runtime.set_count(WEB, 3, spare=[before[2], before[0]])
            await asyncio.sleep(10)
            left = {one.id for one in await runtime.instances()}
            outcomes.add(str([number for number, id in enumerate(before) if id not in left]))
        return outcomes

    assert (run(scaled_down()) == {"[2]"}) is choose_victim


@scenario
async def test_what_ended_is_shown_and_then_replaced() -> None:
    engine = SimulatedEngine()
    runtime = SimulatedCountRuntime(engine=engine, restart_delay=5.0)
    await runtime.set_count(WEB, 2, spare=[])
    await asyncio.sleep(1)
    first = (await runtime.instances())[0]
    engine.crash(first.replica, Exit(137, oom=True))
    ended = [one for one in await runtime.instances() if one.exit]
    assert [(one.id, one.exit) for one in ended] == [(first.id, Exit(137, oom=True))]
    await asyncio.sleep(6)
    assert len(await runtime.instances()) == 2
    assert first.id not in {one.id for one in await runtime.instances()}


@scenario
async def test_a_start_that_fails_is_tried_again_after_the_delay() -> None:
    engine = SimulatedEngine()
    failure = RuntimeFailure("start-failed", "no")
    engine.script("web", Behaviour(failure=failure), Behaviour(failure=failure), Behaviour())
    runtime = SimulatedCountRuntime(engine=engine, restart_delay=5.0)
    await runtime.set_count(WEB, 1, spare=[])
    await asyncio.sleep(9)
    assert await runtime.instances() == []
    await asyncio.sleep(2)
    assert await _revisions(runtime) == {"r1": 1}


@scenario
async def test_a_new_revision_replaces_the_former_without_a_gap() -> None:
    runtime = SimulatedCountRuntime(engine=SimulatedEngine(Behaviour(start_delay=2.0)))
    await runtime.set_count(WEB, 3, spare=[])
    await asyncio.sleep(10)
    await runtime.set_count(NEXT, 3, spare=[])
    for _ in range(100):
        assert sum((await _revisions(runtime)).values()) >= 3
        await asyncio.sleep(0.1)
    assert await _revisions(runtime) == {"r2": 3}


@scenario
async def test_a_removed_service_is_gone_for_good() -> None:
    runtime = SimulatedCountRuntime(engine=SimulatedEngine(Behaviour(start_delay=2.0)))
    await runtime.set_count(WEB, 3, spare=[])
    await asyncio.sleep(1)
    await runtime.remove("web")
    await asyncio.sleep(100)
    assert await runtime.instances() == []
    await runtime.remove("web")
