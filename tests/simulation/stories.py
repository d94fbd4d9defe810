"""Small simulations for tests: a few arrivals, a configuration as an operator writes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from config.loader import parse
from config.settings import Settings
from simulation.assumptions import Assumptions
from simulation.distributions import Constant
from simulation.result import Outcome
from simulation.run import Story, simulate
from simulation.traffic import Arrival, Traffic

SERVICE = {"command": ["serve"], "port": 80}


def settings(**services: dict[str, Any]) -> Settings:
    """Each is given what every service needs."""
    whole = {"services": {name: {**SERVICE, **more} for name, more in services.items()}}
    return parse(yaml.safe_dump(whole), Path("/nowhere/tidegate.yaml"), {})


def traffic(
    *arrivals: Arrival, seconds: float = 600.0, services: Sequence[str] = ("web",)
) -> Traffic:
    return Traffic(tuple(services), seconds, lambda: iter(sorted(arrivals)))


def lived(
    of: Traffic, spec: dict[str, Any] | None = None, *, seed: int = 1, **assumed: Any
) -> Outcome:
    """One service `web`; starts take a second unless something else is assumed."""
    assumptions = Assumptions(**{"start": Constant(1.0), "stop": Constant(0.0), **assumed})
    return simulate(Story(settings(web=spec or {}), of, assumptions, seed))
