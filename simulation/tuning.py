"""Tuning: the search is asked what to try, simulations answer, and the last part of the traffic is
only looked at when the choice is made.

Of the best few on the training part the one is chosen that is best by its worst of three seeds:
what was lucky once is not lucky thrice. Then whatever it changes to no effect is taken back.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from config.scaling import Scaling
from config.settings import Settings
from simulation.crew import Crew
from simulation.front import front
from simulation.objective import Measures, Objective, Score
from simulation.report import Prices
from simulation.result import Outcome
from simulation.run import Progress
from simulation.search import Tried, best, search
from simulation.space import Candidate, Space
from simulation.trials import Task
from simulation.verdict import Verdict, verdict

HALVED_FROM = 2 * 3600.0  # seconds of training: from there on the start is tried on a third of it
_FIRST_PART = 1 / 3
_FINALISTS = 5
_MORE_SEEDS = 2
_UNNOTICED = 0.002

Part = tuple[float, float]
"""From which second of the traffic to which."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`settings` makes what is simulated of a block."""

    space: Space
    objective: Objective
    settings: Callable[[Scaling], Settings]
    prices: Prices
    tries: int
    seed: int
    training: Part
    held_out: Part


@dataclass(frozen=True, slots=True)
class Tuned:
    """`rows`: by block ("present", "defaults", "chosen"), measures of both parts. `front`: cost,
    wait and changes of what no other beats in both, on the training part."""

    chosen: Scaling
    changes: Mapping[str, object]
    rows: Mapping[str, tuple[Measures, Measures]]
    front: Sequence[tuple[float, float, Mapping[str, object]]]
    tried: int
    verdict: Verdict


def tune(plan: Plan, crew: Crew, progress: Progress = lambda share: None) -> Tuned:
    """Raises crew.Failed."""
    trials = _Trials(plan, crew, progress)
    rank = plan.objective.score
    tried = _searched(plan, trials, rank)
    chosen = _pared(plan, trials, tried, _chosen(plan, trials, tried, rank))
    rows = trials.compared(_blocks(plan.space, chosen))
    if chosen == plan.space.present:
        told = Verdict(False, "on the training part nothing that was tried is better")
    else:
        told = verdict(plan.objective, rows["present"][1], rows["chosen"][1])
    points = sorted(  # of equals the one that changes least
        (
            (measures["cost"], measures[plan.objective.latency], plan.space.changes(candidate))
            for candidate, measures in tried.known.items()
        ),
        key=lambda point: len(point[2]),
    )
    block, changes = plan.space.block(chosen), plan.space.changes(chosen)
    return Tuned(block, changes, rows, front(points), trials.number, told)


def measures(outcome: Outcome, prices: Prices) -> Measures:
    """What objectives are about, and what tables show."""
    wait = outcome.wait
    return {
        "p50 wait": wait.p50,
        "p95 wait": wait.p95,
        "p99 wait": wait.p99,
        "max wait": wait.max,
        "mean wait": wait.mean,
        "delayed": wait.delayed,
        "failed": outcome.failed / outcome.requests if outcome.requests else 0.0,
        "cost": prices.of(outcome) or 0.0,
        "cold starts": outcome.cold_starts,
        "replica-seconds": outcome.replica_seconds,
        "frozen-seconds": outcome.frozen_seconds,
    }


class _Trials:
    """Simulates blocks and counts them."""

    def __init__(self, plan: Plan, crew: Crew, progress: Progress) -> None:
        self.number = 0
        self._plan = plan
        self._crew = crew
        self._progress = progress
        self._expected = plan.tries + _FINALISTS * _MORE_SEEDS

    def measured(self, blocks: Iterable[Scaling], part: Part, seed: int) -> list[Measures]:
        tasks = [
            Task(f"try {self.number + number}", self._plan.settings(block), part, seed)
            for number, block in enumerate(blocks, 1)
        ]
        before = self.number
        results = self._crew.run(
            tasks,
            lambda share: self._progress(min(1.0, (before + share * len(tasks)) / self._expected)),
        )
        self.number += len(tasks)
        return [measures(result.outcome, self._plan.prices) for result in results]

    def compared(self, blocks: Mapping[str, Scaling]) -> dict[str, tuple[Measures, Measures]]:
        """On both parts; these are no tries."""
        number, plan = self.number, self._plan
        both = [
            self.measured(blocks.values(), part, plan.seed)
            for part in (plan.training, plan.held_out)
        ]
        self.number = number
        return dict(zip(blocks, zip(*both, strict=True), strict=True))


def _searched(plan: Plan, trials: _Trials, rank: Callable[[Measures, Measures], Score]) -> Tried:
    begin, end = plan.training
    first_part = begin, begin + (end - begin) * _FIRST_PART
    going = search(
        plan.space, plan.tries, end - begin >= HALVED_FROM, rank, random.Random(plan.seed)
    )
    batch = next(going)
    while True:
        part = first_part if batch.is_partial else plan.training
        found = trials.measured(map(plan.space.block, batch.candidates), part, plan.seed)
        try:
            batch = going.send(found)
        except StopIteration as ending:
            tried: Tried = ending.value
            return tried


def _chosen(
    plan: Plan, trials: _Trials, tried: Tried, rank: Callable[[Measures, Measures], Score]
) -> Candidate:
    present = plan.space.present
    last = best(tried, present, rank, _FINALISTS)
    if last == [present]:
        return present
    last = list(dict.fromkeys([*last, present]))
    worst = [dict(tried.known[one]) for one in last]
    for seed in range(plan.seed + 1, plan.seed + 1 + _MORE_SEEDS):
        again = trials.measured(map(plan.space.block, last), plan.training, seed)
        worst = [
            {name: max(value, other[name]) for name, value in one.items()}
            for one, other in zip(worst, again, strict=True)
        ]
    of_present = worst[last.index(present)]
    return min(zip(last, worst, strict=True), key=lambda one: rank(one[1], of_present))[0]


def _pared(plan: Plan, trials: _Trials, tried: Tried, chosen: Candidate) -> Candidate:
    """Without the changes that, on the training part, are as well left out."""
    space, known = plan.space, tried.known
    single = [
        space.settled((*chosen[:at], knob.present, *chosen[at + 1 :]))
        for at, knob in enumerate(space.knobs)
        if chosen[at] != knob.present
    ]
    single = list(dict.fromkeys(one for one in single if one != chosen))
    _know(plan, trials, tried, single)
    idle = [one for one in single if _is_as_good(plan, known, one, chosen)]
    together = space.settled(
        tuple(
            knob.present if any(one[at] == knob.present for one in idle) else index
            for at, (knob, index) in enumerate(zip(space.knobs, chosen, strict=True))
        )
    )
    _know(plan, trials, tried, [together])
    fewest = [one for one in (together, *idle) if _is_as_good(plan, known, one, chosen)]
    return fewest[0] if fewest else chosen


def _is_as_good(
    plan: Plan, known: Mapping[Candidate, Measures], one: Candidate, other: Candidate
) -> bool:
    """By the objective alone, within what nobody would notice."""
    present = known[plan.space.present]
    missed, least, *_ = plan.objective.score(known[one], present)
    missed_before, least_before, *_ = plan.objective.score(known[other], present)
    return missed <= missed_before and least <= least_before * (1 + _UNNOTICED)


def _know(plan: Plan, trials: _Trials, tried: Tried, candidates: Iterable[Candidate]) -> None:
    new = [one for one in candidates if one not in tried.known]
    if new:
        found = trials.measured(map(plan.space.block, new), plan.training, plan.seed)
        tried.known.update(zip(new, found, strict=True))


def _blocks(space: Space, chosen: Candidate) -> dict[str, Scaling]:
    blocks = {"present": space.scaling}
    if space.scaling != Scaling():
        blocks["defaults"] = Scaling()
    if chosen != space.present:
        blocks["chosen"] = space.block(chosen)
    return blocks
