"""What gateways tell reaches all who need it, and who is busy is known over all of them."""

import asyncio
import dataclasses

from cluster.lifecycle import State
from cluster.messages import LoadReport
from config.scaling import Idle, Scaling
from control.spine import InFlight
from tests.cluster.builders import a_service
from tests.support.control_world import control_world
from tests.support.scaling_facts import report
from tests.support.virtual_time import run


def told(source: str, *pending: tuple[str, int], name: str = "web") -> LoadReport:
    return dataclasses.replace(report(1.0, name=name, source=source), pending=pending)


def test_what_several_gateways_have_in_flight_adds_up() -> None:
    in_flight = InFlight()
    in_flight.report(told("a", ("web-1", 2), ("web-2", 1)))
    in_flight.report(told("b", ("web-1", 3)))
    in_flight.report(told("a", ("api-1", 7), name="api"))
    assert in_flight.of("web") == {"web-1": 5, "web-2": 1}


def test_only_the_last_report_of_a_gateway_counts() -> None:
    in_flight = InFlight()
    in_flight.report(told("a", ("web-1", 2)))
    in_flight.report(told("b", ("web-1", 3)))
    in_flight.report(told("a", ("web-2", 1)))
    assert in_flight.of("web") == {"web-1": 3, "web-2": 1}
    in_flight.report(told("b"))
    assert in_flight.of("web") == {"web-2": 1}


def test_nothing_is_kept_of_who_is_idle() -> None:
    in_flight = InFlight()
    in_flight.report(told("a", ("web-1", 2)))
    in_flight.report(told("a"))
    in_flight.report(told("b"))
    assert in_flight.of("web") == {}
    assert not in_flight._reported


def test_who_is_busy_stays_and_who_is_idle_goes() -> None:
    async def story() -> None:
        never = Scaling().model_copy(update={"idle": Idle(stop_after=None)})
        async with control_world(a_service(scaling=never)) as world:
            world.scaler.scale("web", 3, None, asyncio.get_running_loop().time())
            await world.until(lambda: world.ready() == 3)
            oldest, middle, youngest = [one.id for one in world.replicas()]
            world.plane.spine.report(told("a", (middle, 1)))
            world.plane.spine.report(told("b", (youngest, 2)))
            world.scaler.scale("web", 2, None, asyncio.get_running_loop().time())
            await world.until(lambda: len(world.running()) == 2)
            assert [one.id for one in world.replicas(State.READY)] == [middle, youngest]
            assert oldest not in world.running()

    run(story())


def test_who_listens_hears_every_report() -> None:
    async def story() -> None:
        heard: list[LoadReport] = []
        async with control_world(a_service()) as world:
            world.plane.spine.on_report(heard.append)
            message = told("a", ("web-1", 2))
            world.plane.spine.report(message)
        assert heard == [message]

    run(story())
