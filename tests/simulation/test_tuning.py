"""Tuning end to end, in one process: chosen on the one part, judged on the other."""

from simulation.assumptions import Assumptions
from simulation.crew import Crew, Ground
from simulation.demand import Demand
from simulation.distributions import Constant
from simulation.mapping import scaled
from simulation.objective import METRICS, objective
from simulation.reading import read
from simulation.report import Prices
from simulation.space import space
from simulation.tuning import Plan, Tuned, measures, tune
from tests.simulation.stories import lived, settings, traffic


def tuned(text: str, shape: str, tries: int = 20) -> Tuned:
    base = settings(web={})
    service = base.services["web"]
    ground = Ground(
        Demand(shapes=(shape,), duration=1000.0, evenly=True), Assumptions(start=Constant(1.0))
    )
    plan = Plan(
        space(service.scaling),
        objective(text),
        lambda block: base.model_copy(update={"services": {"web": scaled(service, block)}}),
        Prices(1.0, 0.1),
        tries,
        1,
        (0.0, 700.0),
        (700.0, 1000.0),
    )
    return tune(plan, Crew(ground, read(ground.demand), 1))


def test_rare_requests_need_no_replica_that_waits_for_them() -> None:
    found = tuned("delayed <= 100%, least cost", "steady(rate=1/m)")
    assert found.verdict.is_better
    for before, after in zip(found.rows["present"], found.rows["chosen"], strict=True):
        assert after["cost"] < before["cost"] * 0.8
    assert found.changes
    # What does not matter for a load like that is not changed.
    assert set(found.changes) <= {"stop_after", "freeze_after", "stable_window", "target"}


def test_the_same_again_is_the_same() -> None:
    first, again = (tuned("least cost", "steady(rate=1/m)", 8) for _ in range(2))
    assert (first.changes, first.rows, first.front) == (again.changes, again.rows, again.front)


def test_where_nothing_is_better_the_present_rules_stay() -> None:
    found = tuned("least cost", "steady(rate=1/m)", 1)
    assert not found.verdict.is_better
    assert found.changes == {}
    assert list(found.rows) == ["present"]


def test_the_front_falls_as_cost_rises() -> None:
    front = tuned("least cost", "steady(rate=1/m)", 12).front
    assert [cost for cost, _, _ in front] == sorted(cost for cost, _, _ in front)
    assert [wait for _, wait, _ in front] == sorted((w for _, w, _ in front), reverse=True)


def test_measures_are_what_objectives_ask_for() -> None:
    outcome = lived(traffic((10.0, 0.2, 0), (20.0, 0.2, 0)))
    found = measures(outcome, Prices(3600.0, None))
    assert set(METRICS) <= set(found)
    assert found["delayed"] == 0.5
    assert found["cost"] == outcome.replica_seconds
