"""One fault with all that is kept book of: load beside it, the judgement, leaks, times.

    async with staged(ground, fault, services) as stage:
        async with stage.loaded():
            ...the fault...
Fast things are recorded and not asserted: a machine may be busy. What became of requests is
asserted always.
"""

import contextlib
import statistics
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import ground as grounds
from tests.faults import leaks, ledger, load, results
from tests.faults.ground import Ground
from tests.faults.judge import Bar, Verdict, judge
from tests.faults.load import RATE, Load
from tests.faults.mode import LONG
from tests.faults.watch import Watch, watching
from tests.support.running import Running, is_alive, tidegate

CALM = 12.0 if LONG else 0.5  # seconds; a replica has proved itself after ten
WORKERS = 2
LIVE = {"http": "/live", "every": "250ms", "timeout": "250ms", "failures": 3}
HUNG_WITHIN = 0.25 * 3 + 0.25


@dataclass
class Stage:
    """A Tidegate that runs, and what happens to it."""

    ground: Ground
    fault: str
    running: Running
    watch: Watch
    load: Load
    detected: list[float] = field(default_factory=list)  # seconds each
    replaced: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # leaks and drift
    before: leaks.Held | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    own_start: float = 0.0
    amount: str = ""  # of the fault: how many, or how long, where long and short runs differ

    @property
    def is_long(self) -> bool:
        return LONG

    @property
    def folder(self) -> Path:
        return self.ground.folder

    async def measure(self, *, steady: bool = LONG) -> None:
        """What it holds now is what it may hold in the end. `steady`: once it holds no less."""
        measure = leaks.steady if steady else leaks.held
        self.before = await measure(self.ground, self.running)

    async def calm(self, seconds: float = CALM) -> None:
        """Load and nothing else, until so many requests were served."""
        await load.answered(self.load, int(seconds * RATE), self.running.until)

    async def times_of(
        self, victim: str, at: float, seen: tuple[str, ...] = ("replica-failed", "replica-unready")
    ) -> None:
        """When it was heard that a replica is lost, and when another was ready instead.

        Where an engine tells of a death by seconds too late, failed requests show it first: the
        replica is then replaced because it refuses connections, and has not "failed".
        """
        heard = await self.watch.first(*seen, since=at, replica=victim)
        self.detected.append(heard.at - at)
        other = await self.watch.first("replica-ready", since=at)
        self.replaced.append(other.at - at)

    @contextlib.asynccontextmanager
    async def loaded(self, rate: float = RATE) -> AsyncIterator[None]:
        """Calm, the block, calm again, and then the books are closed."""
        async with load.running(self.load, rate):
            await self.calm()
            yield
            await self.calm(0.5)

    def judged(self, bar: Bar, of: Load | None = None) -> Verdict:
        """Raises AssertionError with each offence. `of`: other load than the stage's own."""
        asked = of or self.load
        verdict = judge(asked.sent, asked.records, ledger.read(grounds.ledger_of(self.folder)), bar)
        self.verdicts.append(verdict)
        return verdict


@contextlib.asynccontextmanager
async def staged(
    ground: Ground,
    fault: str,
    bar: Callable[[Stage], Bar] | Bar,
    services: dict[str, Any],
    *,
    env: Mapping[str, str] | None = None,
    descriptors: int | None = None,
    control_group: Path | None = None,
    **top: Any,
) -> AsyncIterator[Stage]:
    """A Tidegate with these services, the load's being `web`. Afterwards: nothing has leaked, what
    was asked is within the bar, and all of it stands in the results."""
    gateway = {"listen": ["127.0.0.1:0"], "workers": WORKERS}
    file = ground.file(services, **{"gateway": gateway, **top})
    stage = None
    try:
        async with (
            tidegate(
                file, env=env, descriptors=descriptors, control_group=control_group
            ) as running,
            watching(running) as watch,
        ):
            stage = Stage(ground, fault, running, watch, Load(running.gateway, "web.localhost"))
            await _begin(stage, services)
            yield stage
            await _look_for_leaks(stage)
        stage.troubles += [
            f"left: {one}" for one in await leaks.left(ground, grounds.owner_of(file))
        ]
    finally:
        if stage is not None:
            verdict = stage.judged(bar(stage) if callable(bar) else bar)
            starts = [await ground.start_alone() for _ in range(5 if LONG else 1)]
            stage.own_start = statistics.median(starts)
            results.save(stage, stage.verdicts)
    if wrong := verdict.offences[:20] + stage.troubles:
        raise AssertionError("\n".join(wrong))


async def _begin(stage: Stage, services: dict[str, Any]) -> None:
    least = services["web"].get("scaling", {}).get("min", 0)
    if least:
        await grounds.until_ready(stage.running, least)
    await stage.measure()


async def _look_for_leaks(stage: Stage) -> None:
    assert stage.before is not None
    if not is_alive(stage.running.process.pid):
        return
    stage.troubles += await leaks.drift(stage.ground, stage.running)
    stage.troubles += await leaks.leaks(stage.ground, stage.running, stage.before)
    used = await leaks.idle_cpu(stage.running)
    stage.notes.append(f"idle {used:.1%} of a core")
    if used > leaks.IDLE_CPU:
        stage.troubles.append(f"it uses {used:.0%} of a core while nothing is asked")
