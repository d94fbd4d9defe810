"""The same traffic, simulated.

All that is taken from the real run is how long starts and stops took there. Services do not touch
each other here, so each is simulated by itself.
"""

from pathlib import Path

import yaml

from config.loader import parse
from loadtests.agreement.lives import InTurn, Lives
from loadtests.agreement.real import services
from loadtests.agreement.trace import Part, Trace
from simulation.assumptions import USUAL, Assumptions
from simulation.result import Outcome
from simulation.run import Story, simulate

_NOWHERE = Path("/nowhere/tidegate.yaml")
_APP = {"command": ["serve"], "port": 80}


def simulated(trace: Trace, part: Part, lives: Lives) -> Outcome:
    written = yaml.safe_dump({"services": services(trace, _APP)})
    stop = InTurn(lives.stops) if lives.stops else USUAL.stop
    assumed = Assumptions(start=InTurn(lives.starts), stop=stop)
    return simulate(Story(parse(written, _NOWHERE, {}), trace.traffic(part), assumed))
