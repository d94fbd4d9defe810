"""The search for better rules: a spread-out start, then evolution by small steps.

Pure: the generator of random numbers is passed in. Whoever tries the candidates answers each batch
with their measures; batches depend on the seed and on those alone, never on how many are tried at
once. The start is a Latin hypercube (McKay, Beckman, Conover 1979): each value of each knob about
equally often. On long traffic it is tried on a first part, of which the best third goes on
(successive halving, Jamieson and Talwalkar 2016).
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulation.objective import Measures, Score
from simulation.space import Candidate, Space

if TYPE_CHECKING:
    import random

_BATCH = 8
_START = 0.4  # share of all tries
_GOES_ON = 3  # one in so many of the start
_PARENTS = 6
_CROSSED = 0.3  # share of children with two parents
_REACH = (-3, -2, -1, -1, -1, 1, 1, 1, 2, 3)  # steps on a scale


@dataclass(frozen=True, slots=True)
class Batch:
    """`is_partial`: on the first part of the traffic only."""

    candidates: tuple[Candidate, ...]
    is_partial: bool = False


@dataclass(slots=True)
class Tried:
    """What is known on the whole training part, in the order of the tries."""

    known: dict[Candidate, Measures] = field(default_factory=dict)


Search = Generator[Batch, Sequence[Measures], Tried]
Rank = Callable[[Measures, Measures], Score]


def search(space: Space, tries: int, halving: bool, rank: Rank, rng: "random.Random") -> Search:
    """At most so many tries, the present rules first."""
    tried = Tried()
    present = space.present
    tried.known[present] = (yield Batch((present,)))[0]
    left = tries - 1
    start = _latin(space, max(1, round(left * _START)), rng)
    start = [one for one in dict.fromkeys(start) if one != present]
    if halving and len(start) > _GOES_ON:
        left -= len(start) + 1
        measured = yield Batch((present, *start), is_partial=True)
        order = sorted(
            zip(start, measured[1:], strict=True), key=lambda one: rank(one[1], measured[0])
        )
        start = [one for one, _ in order[: max(1, len(start) // _GOES_ON)]]
    left -= yield from _try(tried, start[: max(0, left)])
    while left > 0:
        children = _children(space, tried, rank, min(_BATCH, left), rng)
        if not children:
            break
        left -= yield from _try(tried, children)
    return tried


def best(tried: Tried, present: Candidate, rank: Rank, number: int) -> list[Candidate]:
    """The best ones first; of equal ones the one that was tried first."""
    of_present = tried.known[present]
    return sorted(tried.known, key=lambda one: rank(tried.known[one], of_present))[:number]


def _try(
    tried: Tried, candidates: Sequence[Candidate]
) -> Generator[Batch, Sequence[Measures], int]:
    if candidates:
        measured = yield Batch(tuple(candidates))
        tried.known.update(zip(candidates, measured, strict=True))
    return len(candidates)


def _latin(space: Space, number: int, rng: "random.Random") -> list[Candidate]:
    columns = []
    for knob in space.knobs:
        size = len(knob.values)
        column = [int((place + rng.random()) / number * size) for place in range(number)]
        rng.shuffle(column)
        columns.append(column)
    return [space.settled(row) for row in zip(*columns, strict=True)]


def _children(
    space: Space, tried: Tried, rank: Rank, number: int, rng: "random.Random"
) -> list[Candidate]:
    """New ones; fewer, or none, where nearly all there is has been tried."""
    parents = best(tried, space.present, rank, _PARENTS)
    found: dict[Candidate, None] = {}
    for _ in range(50 * number):
        # Better parents more often: the smaller of two draws.
        parent = parents[min(rng.randrange(len(parents)), rng.randrange(len(parents)))]
        if rng.random() < _CROSSED:
            parent = _crossed(parent, parents[rng.randrange(len(parents))], rng)
        child = space.settled(_stepped(space, parent, rng))
        if child not in tried.known:
            found[child] = None
        if len(found) == number:
            break
    return list(found)


def _crossed(one: Candidate, other: Candidate, rng: "random.Random") -> Candidate:
    return tuple(pair[rng.randrange(2)] for pair in zip(one, other, strict=True))


def _stepped(space: Space, candidate: Candidate, rng: "random.Random") -> Candidate:
    """One to three knobs a little further, or one back to what it is now."""
    changed = list(candidate)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        number = rng.randrange(len(changed))
        knob = space.knobs[number]
        if rng.random() < 0.15:
            changed[number] = knob.present
        else:
            moved = changed[number] + rng.choice(_REACH)
            changed[number] = min(max(moved, 0), len(knob.values) - 1)
    return tuple(changed)
