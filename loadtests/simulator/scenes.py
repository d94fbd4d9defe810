"""The traffic and the starts under which scaling policies are compared.

Every service bears ten requests at once in a replica and aims at seven, as Knative's would by its
70 %; a request takes a second on average. Nothing but `scaling.policy` differs.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import yaml

from config.loader import parse
from config.scaling import PolicyName
from config.settings import Settings
from simulation.detect import read
from simulation.dice import seeded
from simulation.distributions import distribution
from simulation.shapes import generated
from simulation.traffic import Traffic

WORK = "lognormal(mean=1s, sd=1s)"
STARTS = {"150 ms": "150ms", "3.2 s": "lognormal(mean=3.24s, sd=7.10s)"}
SHAPES = {
    "spike": ("spike(base=5, peak=100, at=20m, for=2m)", 3600.0),
    "ramp": ("ramp(from=0, to=80, over=50m)", 3600.0),
    "diurnal": ("diurnal(low=0.2, high=40, period=2h)", 4 * 3600.0),
}
RECORDED = {
    "llm code": "azure-llm-2023/AzureLLMInferenceTrace_code.csv",
    "llm conv": "azure-llm-2023/AzureLLMInferenceTrace_conv.csv",
}
FUNCTIONS = "azure2019-500fn-8h"


def scenes(traces: Path, seed: int) -> Iterator[tuple[str, Callable[[], Traffic]]]:
    """By name; what is recorded only where it is found."""
    work, dice = distribution(WORK), seeded(seed, "traffic")
    for name, file in RECORDED.items():
        if (path := traces / file).is_file():
            yield name, partial(read, path, dice, work)
    for name, (text, seconds) in SHAPES.items():
        yield name, partial(generated, text, seconds, work, dice)


def ruled_by(policy: PolicyName) -> Settings:
    rules = [{"metric": "concurrency", "target": 7}]
    scaling = {"policy": policy, "max": 1000, "rules": rules}
    return _settings({"web": {"concurrency": 10, "scaling": scaling}})


def functions(traffic: Traffic) -> Settings:
    """One service for each function, by the defaults; answers may take as long as theirs did."""
    return _settings(
        {
            name: {"timeouts": {"response": "10m"}, "scaling": {"max": 100}}
            for name in traffic.services
        }
    )


def _settings(services: dict[str, dict[str, object]]) -> Settings:
    whole = {name: {"command": ["serve"], "port": 80, **more} for name, more in services.items()}
    text = yaml.safe_dump({"owner": "simulated", "services": whole})
    return parse(text, Path("simulated.yaml"), {})
