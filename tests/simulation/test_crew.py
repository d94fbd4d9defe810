"""Simulations at once are the same as one after the other; what goes wrong is told by name."""

import multiprocessing
import pickle

import pytest

from config.settings import Settings
from simulation.assumptions import Assumptions, Cores
from simulation.crew import Crew, Failed, Ground
from simulation.demand import Demand
from simulation.distributions import distribution
from simulation.mapping import under
from simulation.reading import read
from simulation.slowdown import slowdown
from simulation.trials import Task
from tests.simulation.stories import settings

GROUND = Ground(
    Demand(shapes=("spike(base=0.2, peak=3, at=60s, for=10s)",), duration=180.0),
    Assumptions(start=distribution("lognormal(mean=1s, sd=2s)"), slowdown=Cores(2)),
)


def tasks(of: Settings) -> list[Task]:
    return [
        Task("ours", of),
        Task("theirs", under(of, "kpa"), seed=2),
        Task("a part", of, (60.0, 120.0)),
    ]


def test_at_once_is_the_same_as_one_after_the_other() -> None:
    some = tasks(settings(web={}))
    alone = Crew(GROUND, read(GROUND.demand), 1).run(some)
    crew, told = Crew(GROUND, read(GROUND.demand), 2), list[float]()
    try:
        assert crew.run(some, told.append) == alone
        assert crew.run(some[:1]) == alone[:1]
    finally:
        crew.close()
    assert told[-1] == 1.0
    assert told == sorted(told)
    assert [result.label for result in alone] == ["ours", "theirs", "a part"]
    assert alone[0].outcome.requests > alone[2].outcome.requests > 0
    assert alone[0].waits
    assert alone[0].outcome.waits == ()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_simulation_that_fails_is_told_by_its_name(jobs: int) -> None:
    some = [Task("good", settings(web={})), Task("bad", settings(other={}))]
    crew = Crew(GROUND, read(GROUND.demand), jobs)
    with pytest.raises(Failed, match="bad: Unknown: no such service in the configuration: web"):
        crew.run(some)
    assert multiprocessing.active_children() == []


def test_how_many_service_times_were_supposed_is_told_of_each() -> None:
    here = read(GROUND.demand)
    results = Crew(GROUND, here, 1).run(tasks(settings(web={})))
    assert results[0].drawn == results[1].drawn == results[0].outcome.requests


def test_what_is_sent_to_another_process_arrives() -> None:
    made = Assumptions(slowdown=slowdown("1:1, 4:2"), start=distribution("empirical(1s, 2s)"))
    again = pickle.loads(pickle.dumps(made))
    assert again.slowdown(4) == 2.0
    assert again.start.mean == made.start.mean
