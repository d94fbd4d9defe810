"""Traffic of several sources, the part that is wanted, and what of it was supposed."""

from pathlib import Path

import pytest

from simulation.demand import Demand
from simulation.distributions import Constant
from simulation.reading import Read, read
from tests.simulation.made import written

TIMED = ("timestamp,service,duration", "2026-01-01T00:00:00Z,api,1", "2026-01-01T00:00:09Z,web,2")


def works(of: Read) -> list[float]:
    return [work for _, work, _ in of.traffic.arrivals()]


def test_traces_and_shapes_are_one_traffic(tmp_path: Path) -> None:
    trace = written(tmp_path, "second", "1", "5", name="a.csv")
    demand = Demand((trace,), ("steady(rate=1)",), 20.0, "web", evenly=True)
    assert read(demand).traffic.services == ("web",)
    assert len(works(read(demand))) == 22


def test_what_had_to_be_supposed_is_counted(tmp_path: Path) -> None:
    trace = written(tmp_path, "1", "5", name="a.csv")
    here = read(Demand((trace,)))
    assert works(here) == [0.2, 0.2]
    assert here.work.drawn == 2


def test_counted_again_with_each_replay() -> None:
    here = read(Demand(shapes=("steady(rate=1)",), duration=10.0, evenly=True))
    list(here.traffic.arrivals())
    list(here.traffic.arrivals())
    assert here.work.drawn == 20


def test_what_is_given_counts_more_than_what_was_recorded(tmp_path: Path) -> None:
    counts = written(
        tmp_path,
        "HashOwner,HashApp,HashFunction,Trigger,1",
        "o,a,f1,http,3",
        name="invocations.csv",
    )
    durations = "HashFunction,Average,Count,percentile_Average_0,percentile_Average_100"
    written(tmp_path, durations, "f1,1000,3,1000,1000", name="durations.csv")
    assert works(read(Demand((counts,)))) == [1.0, 1.0, 1.0]
    here = read(Demand((counts,), work=Constant(0.5)))
    assert works(here) == [0.5, 0.5, 0.5]
    assert here.work.drawn == 3


def test_a_part_begins_at_its_own_zero() -> None:
    demand = Demand(shapes=("steady(rate=1)",), duration=60.0, evenly=True, begin=10.0, end=20.0)
    traffic = read(demand).traffic
    assert traffic.seconds == 10.0
    assert [at for at, _, _ in traffic.arrivals()] == [0.5 + each for each in range(10)]


def test_services_can_be_left_out(tmp_path: Path) -> None:
    trace = written(tmp_path, "service,second,requests", "api,1,2", "web,3,1", name="counts.csv")
    assert read(Demand((trace,))).traffic.services == ("api", "web")
    here = read(Demand((trace,), without=("api",)))
    assert here.traffic.services == ("web",)
    assert [service for _, _, service in here.traffic.arrivals()] == [0]


def test_the_same_demand_is_the_same_traffic() -> None:
    demand = Demand(shapes=("lognormal(mean=1s, sd=3s)", "steady(rate=2)"), duration=100.0)
    first, again = read(demand).traffic, read(demand).traffic
    assert list(first.arrivals()) == list(again.arrivals())
    other = read(Demand(shapes=demand.shapes, duration=100.0, seed=2)).traffic
    assert list(first.arrivals()) != list(other.arrivals())


def test_no_traffic_is_told() -> None:
    with pytest.raises(ValueError, match="there is no traffic"):
        read(Demand())
