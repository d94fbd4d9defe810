"""The same story has the same outcome in every process, whatever order sets have there."""

import os
import subprocess
import sys

_STORY = """
import random
from simulation.distributions import Exponential, LogNormal
from simulation.assumptions import Assumptions
from simulation.run import Story, simulate
from tests.simulation.stories import settings, traffic

dice, names = random.Random(3), [f"s{number}" for number in range(12)]
calls = [(dice.uniform(0, 900), 0.2 + dice.random(), number % 12) for number in range(4000)]
crashing = Assumptions(
    start=LogNormal(2.0, 3.0), crash=Exponential(200.0), start_fails=0.05, answer_fails=0.01
)
services = settings(**{name: {} for name in names})
story = Story(services, traffic(*calls, seconds=900.0, services=names), crashing, 5)
print(simulate(story))
"""


def outcome(hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", _STORY]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_the_outcome_does_not_depend_on_the_process() -> None:
    first = outcome(0)
    assert "requests=4000" in first
    assert outcome(1) == first
