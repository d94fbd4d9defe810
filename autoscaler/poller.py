"""Asks those who measure for rules, also while a service sleeps: a queue may wake it.

One task for each question, however many services ask it; none where no rule asks. What a source
said outlives a reload as long as somebody still asks the same of it.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from autoscaler.gauges import Gauge
from autoscaler.source_metrics import Labels, SourceMetrics
from autoscaler.sources.kinds import question_of
from autoscaler.sources.source import Source, SourceFailure
from autoscaler.standing import Reading, Standing, gauge_of, heard, reading_of
from cluster.events import Events
from cluster.tasks import Tasks
from config.rules import Asked, AskingRule
from config.service import Service
from config.units import format_duration

log = logging.getLogger("tidegate.autoscaler")

Tell = Callable[[str, AskingRule, Gauge], None]
# Questions that begin together are spread over as long as they take at that pace (a second).
_FIRST_PACE = 100.0
_PATIENCE = 1.0  # seconds
_JITTER = 0.05  # of `every`, so that no two go on in step


@dataclass(frozen=True, slots=True)
class _Asker:
    """A rule of a service; `labels` are those of its metrics."""

    service: str
    rule: AskingRule
    labels: Labels


@dataclass(slots=True, eq=False)
class _Polling:
    """One question, who wants to know, and what is known."""

    rule: AskingRule  # any of them: they ask the same
    every: float
    askers: frozenset[_Asker]
    standing: Standing | None = None
    task: "asyncio.Task[None] | None" = field(default=None)

    @property
    def name(self) -> str:
        first, *others = sorted(asker.service for asker in self.askers)
        return f"ask {self.rule.metric} for {first}" + (
            f" and {len(others)} more" if others else ""
        )


class Poller:
    """`open_source` makes the source of a rule, `tell` is told each gauge."""

    def __init__(
        self,
        open_source: Callable[[AskingRule], Source],
        tell: Tell,
        tasks: Tasks,
        events: Events,
        metrics: SourceMetrics,
        clock: Callable[[], float],
        rng: Random,
    ) -> None:
        self._open = open_source
        self._tell = tell
        self._tasks = tasks
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._pollings: dict[Hashable, _Polling] = {}
        self._labels: set[Labels] = set()
        self._closed = False

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Ask what these rules need and nothing else. Rules that are new, or changed in what they
        make of an answer, are told at once what is known already."""
        if self._closed:
            return
        wanted, former = _questions(specs), self._labels
        self._labels = {asker.labels for askers in wanted.values() for asker in askers}
        for labels in former - self._labels:
            self._metrics.forget(labels)
        for question in self._pollings.keys() - wanted.keys():
            self._halt(self._pollings.pop(question))
        fresh = len(wanted.keys() - self._pollings.keys())
        for question, askers in wanted.items():
            known = self._pollings.get(question)
            if known is None:
                self._begin(question, askers, fresh)
            else:
                self._go_on(known, askers)

    async def close(self) -> None:
        """Ask no more, for good; what is under way is given up."""
        self._closed = True
        running = [polling.task for polling in self._pollings.values() if polling.task]
        for polling in self._pollings.values():
            self._halt(polling)
        self._pollings.clear()
        if running:
            # What others wrote may not heed being cancelled.
            await asyncio.wait(running, timeout=_PATIENCE)

    # Who asks what

    def _begin(self, question: Hashable, askers: frozenset[_Asker], fresh: int) -> None:
        rule, every = next(iter(askers)).rule, _every(askers)
        polling = self._pollings[question] = _Polling(rule, every, askers)
        self._start(polling, self._rng.random() * min(every, fresh / _FIRST_PACE))

    def _go_on(self, polling: _Polling, askers: frozenset[_Asker]) -> None:
        former, polling.askers = polling.askers, askers
        if polling.standing is not None:
            for asker in askers - former:
                self._inform(asker, polling, polling.standing)
        if polling.every != (every := _every(askers)):
            polling.every = every
            self._halt(polling)
            self._start(polling, self._rng.random() * every)

    def _start(self, polling: _Polling, pause: float) -> None:
        polling.task = self._tasks.start(self._keep_asking(polling, pause), polling.name)

    def _halt(self, polling: _Polling) -> None:
        if polling.task is not None:
            polling.task.cancel()

    # Asking

    async def _keep_asking(self, polling: _Polling, pause: float) -> None:
        await asyncio.sleep(pause)
        source = self._open(polling.rule)
        try:
            while True:
                due = self._clock() + polling.every * self._rng.uniform(1 - _JITTER, 1 + _JITTER)
                self._heard(polling, await self._ask(source, polling.rule))
                await asyncio.sleep(due - self._clock())
        finally:
            await source.close()

    async def _ask(self, source: Source, rule: AskingRule) -> Reading:
        """Whatever goes wrong is a reading without a value."""
        begun = self._clock()
        silent = False
        try:
            async with asyncio.timeout(rule.timeout):
                value = await source.ask()
            now = self._clock()
            return reading_of(value, now, now - begun)
        except TimeoutError:
            says = f"no answer within {format_duration(rule.timeout)}"
        except SourceFailure as failure:
            says, silent = failure.says, failure.silent
        except Exception as error:
            _report(rule, error)
            says = "it could not be asked (see the log)"
        now = self._clock()
        return Reading(None, now, says, now - begun, silent)

    # Telling

    def _heard(self, polling: _Polling, reading: Reading) -> None:
        former = polling.standing
        standing = polling.standing = heard(former, reading)
        was_failing = former is not None and former.failing > 0
        for asker in polling.askers:
            if bool(standing.failing) != was_failing:
                self._announce(asker, standing)
            self._inform(asker, polling, standing)

    def _inform(self, asker: _Asker, polling: _Polling, standing: Standing) -> None:
        gauge = gauge_of(standing, asker.rule, polling.every)
        self._metrics.asked(asker.labels, standing.reading, gauge.is_active)
        self._tell(asker.service, asker.rule, gauge)

    def _announce(self, asker: _Asker, standing: Standing) -> None:
        service, metric = asker.service, asker.rule.metric
        if not standing.failing:
            message = f"{service}: its metric {metric} has a value again: {standing.value:g}"
            self._events.emit("metric-back", message, service=service)
            return
        message = f"{service}: its metric {metric} has no value: {standing.reading.says}; "
        message += _consequence(asker.rule)
        self._events.emit("metric-away", message, service=service, level=logging.WARNING)


def _report(rule: AskingRule, error: Exception) -> None:
    """Where, but not what it says: nobody knows what stands in it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "asking %s failed: %s in %s, line %s; this is a bug, please report it",
        *(rule.metric, type(error).__name__, place.filename, place.lineno),
    )


def _consequence(rule: AskingRule) -> str:
    if rule.fallback is None:
        return "until it has, nothing is scaled down"
    return f"after {rule.failures} failures in a row it falls back to {rule.fallback}"


def _questions(specs: Mapping[str, Service]) -> dict[Hashable, frozenset[_Asker]]:
    found: dict[Hashable, set[_Asker]] = {}
    for asker in _askers(specs):
        found.setdefault(question_of(asker.rule), set()).add(asker)
    return {question: frozenset(askers) for question, askers in found.items()}


def _askers(specs: Mapping[str, Service]) -> Iterator[_Asker]:
    for name, spec in specs.items():
        if spec.endpoints:
            continue
        for place, rule in enumerate(spec.scaling.rules):
            if isinstance(rule, Asked):
                yield _Asker(name, rule, (name, rule.metric, str(place)))


def _every(askers: frozenset[_Asker]) -> float:
    """As often as the most curious one wants to know."""
    return min(asker.rule.every for asker in askers)
