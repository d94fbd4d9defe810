"""`tidegate tune` at work: from what was asked to a search, and its result.

Only requests for the tuned service are replayed, and for those that it stands for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from config.scaling import Scaling
from config.settings import Settings
from config.units import parse_ratio
from simulation.crew import Crew, Failed
from simulation.mapping import scaled
from simulation.objective import Objective, objective
from simulation.reading import read
from simulation.report import Prices
from simulation.space import space
from simulation.tuning import Plan, Tuned, tune
from tidegate import cli_rehearsal
from tidegate.cli_given import WrongOption, prices_of
from tidegate.cli_given_options import Given
from tidegate.cli_rehearsal import Rehearsal, telling_what_is_wrong
from tidegate.cli_simulate import SimulationFailed

# A GiB costs a tenth of a replica, as it costs a tenth of a core in the price lists of clouds.
USUAL_PRICES = Prices(1.0, 0.1)


@dataclass(frozen=True, slots=True)
class Wish:
    """As written on the command line."""

    objective: str
    tries: int
    hold_out: str
    policies: bool


@dataclass(frozen=True, slots=True)
class Session:
    rehearsal: Rehearsal
    plan: Plan
    service: str


def prepare(given: Given, wish: Wish, config: str | None, as_json: bool) -> Session:
    """Raises WrongUse, or typer.Exit after telling what is wrong with the configuration."""
    with telling_what_is_wrong():
        aim, share = _objective(wish.objective), _held_out(wish.hold_out)
        rehearsal = cli_rehearsal.prepare(given, [config] if config else (), (), as_json)
        name = rehearsal.template
        if name is None:
            raise WrongOption("--service NAME says which service of the file is to be tuned")
        rehearsal = _only(rehearsal, name)
        seconds = rehearsal.here.traffic.seconds
        middle = round(seconds * (1 - share), 3)
        settings, prices = rehearsal.tasks[0].settings, prices_of(given)
        names = rehearsal.here.traffic.services
        plan = Plan(
            space(settings.services[names[0]].scaling, wish.policies),
            aim,
            lambda block: _under(settings, names, block),
            prices if prices.are_given else USUAL_PRICES,
            wish.tries,
            given.seed,
            (0.0, middle),
            (middle, seconds),
        )
    return Session(rehearsal, plan, name)


def run(session: Session) -> Tuned:
    """Raises SimulationFailed."""
    rehearsal = session.rehearsal
    crew = Crew(rehearsal.ground, rehearsal.here, cli_rehearsal.processes(rehearsal))
    try:
        with cli_rehearsal.bar("tuning") as progress:
            return tune(session.plan, crew, progress)
    except Failed as error:
        raise SimulationFailed(str(error)) from error
    finally:
        crew.close()


def _objective(text: str) -> Objective:
    try:
        return objective(text)
    except ValueError as error:
        raise WrongOption(f"--objective: {error}") from None


def _held_out(text: str) -> float:
    try:
        share = parse_ratio(text)
    except ValueError as error:
        raise WrongOption(f"--hold-out {error}") from None
    if not 0 < share < 1:
        raise WrongOption(f"--hold-out must be more than 0% and less than 100%, got {text}")
    return share


def _only(rehearsal: Rehearsal, service: str) -> Rehearsal:
    """Without the requests for services that have rules of their own."""
    names = rehearsal.here.traffic.services
    others = tuple(name for name in names if name in rehearsal.named and name != service)
    if not others:
        return rehearsal
    demand = replace(rehearsal.ground.demand, without=others)
    if len(others) == len(names):
        raise WrongOption(f"the traffic has no request for {service}: nothing can be tuned")
    left_out = f"only {service} is tuned: requests for {', '.join(others)} are left out"
    return replace(
        rehearsal,
        ground=replace(rehearsal.ground, demand=demand),
        here=read(demand),
        warnings=(*rehearsal.warnings, left_out),
    )


def _under(settings: Settings, names: Sequence[str], block: Scaling) -> Settings:
    services = dict(settings.services)
    services.update({name: scaled(services[name], block) for name in names})
    return settings.model_copy(update={"services": services})
