"""Each scenario's facts as one JSON file, for the report.

They go to RESULTS (TIDEGATE_FAULTS_RESULTS), which git ignores. A later run of a scenario replaces
the former one.
"""

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.judge import Verdict
    from tests.faults.scenario import Stage

RESULTS = Path(
    os.environ.get("TIDEGATE_FAULTS_RESULTS", Path(__file__).with_name("results").as_posix())
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Times in milliseconds. `failed` is by method, `excused` says why some of it may be."""

    fault: str
    runtime: str
    at: str
    long: bool
    requests: int
    outcomes: dict[str, int]
    failed: dict[str, int]
    excused: dict[str, int]
    offences: list[str]
    troubles: list[str]
    detected: list[float] = field(default_factory=list)
    replaced: list[float] = field(default_factory=list)
    own_start: float = 0.0
    notes: list[str] = field(default_factory=list)
    amount: str = ""  # what the row says of it: how many, or how long


def save(stage: "Stage", verdicts: Sequence["Verdict"]) -> None:
    """The verdicts on all load of one scenario, together."""

    def together(name: str) -> dict[str, int]:
        return dict(sum((getattr(one, name) for one in verdicts), Counter[str]()))

    facts = Facts(
        fault=stage.fault,
        runtime=stage.ground.name,
        at=time.strftime("%Y-%m-%dT%H:%M:%S"),
        long=stage.is_long,
        requests=sum(one.requests for one in verdicts),
        outcomes=together("outcomes"),
        failed=together("failed"),
        excused=together("excused"),
        offences=[offence for one in verdicts for offence in one.offences[:20]],
        troubles=stage.troubles,
        detected=[_ms(one) for one in stage.detected],
        replaced=[_ms(one) for one in stage.replaced],
        own_start=_ms(stage.own_start),
        notes=stage.notes,
        amount=stage.amount,
    )
    RESULTS.mkdir(exist_ok=True, parents=True)
    file = RESULTS / f"{stage.fault}.{stage.ground.name}.json"
    file.write_text(json.dumps(asdict(facts), indent=1) + "\n")
    print(summary(facts))


def load_all() -> list[Facts]:
    found: list[dict[str, Any]] = [
        json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))
    ]
    return [Facts(**one) for one in found]


def summary(facts: Facts) -> str:
    failed = ", ".join(f"{count} {name}" for name, count in facts.outcomes.items() if name != "ok")
    times = " ".join(
        f"{name} {statistics.median(values):.0f}/{max(values):.0f} ms"
        for name, values in (("detected", facts.detected), ("replaced", facts.replaced))
        if values
    )
    notes = "; ".join(facts.notes)
    return (
        f"{facts.fault} ({facts.runtime}): {facts.requests} requests, failed: {failed or 'none'} "
        f"{facts.excused} {times} own start {facts.own_start:.0f} ms; {notes}"
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
