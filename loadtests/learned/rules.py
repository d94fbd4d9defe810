"""The rules that are compared: a plain timeout, the hybrid histogram, learned sleep."""

import math
from collections.abc import Sequence
from itertools import pairwise

from autoscaler import grid
from autoscaler.learner import Learner
from autoscaler.ledger import Prices
from loadtests.learned.measure import Outcome
from loadtests.learned.traces import Trace

_RANGE = 240  # minutes that the histogram covers
_FEWEST = 2  # silences that it needs


def floor(trace: Trace) -> Outcome:
    """No rule that only knows the past can do better: each first call is cold."""
    return Outcome(trace, [1] * len(trace.calls), 0)


def timeout(trace: Trace, minutes: int) -> Outcome:
    """Awake for so many minutes after each call."""
    cold, idle = [], 0
    for calls in trace.calls:
        gaps = [after - before for before, after in pairwise(calls)]
        cold.append(1 + sum(gap > minutes for gap in gaps))
        idle += sum(min(minutes, gap - 1) for gap in gaps)
        idle += min(minutes, trace.minutes - 1 - calls[-1])
    return Outcome(trace, cold, idle)


def histogram(trace: Trace) -> Outcome:
    """ "Serverless in the Wild" (Shahrad et al., ATC 2020) without its ARIMA part: 240 bins of a
    minute; woken at 0.9 of the 5 % quantile, kept until 1.1 of the 99 % quantile; four hours while
    fewer than two silences are known, or most were longer than the range."""
    cold, idle, wakes = [], 0, 0
    for calls in trace.calls:
        bins: dict[int, int] = {}
        beyond, wake, keep, missed = 0, 0, _RANGE, 1
        for before, after in zip(calls, [*calls[1:], None], strict=True):
            end = trace.minutes if after is None else after
            idle += max(0, min(end - 1, before + keep) - max(before + 1, before + wake) + 1)
            wakes += wake > 1 and before + wake < end
            if after is None:
                break
            gap = after - before
            missed += not wake <= gap <= keep
            if gap < _RANGE:
                bins[gap] = bins.get(gap, 0) + 1
            else:
                beyond += 1
            wake, keep = _window(bins, beyond)
        cold.append(missed)
    return Outcome(trace, cold, idle, wakes)


def _window(bins: dict[int, int], beyond: int) -> tuple[int, int]:
    count = sum(bins.values())
    if count < _FEWEST or beyond > count:
        return 0, _RANGE
    wake = math.ceil(0.9 * _quantile(bins, 0.05 * count) - 1e-9)
    return (wake if wake > 1 else 0), math.ceil(1.1 * _quantile(bins, 0.99 * count) - 1e-9)


def _quantile(bins: dict[int, int], rank: float) -> int:
    total = 0
    for gap in sorted(bins):
        total += bins[gap]
        if total >= rank - 1e-9:
            return gap
    return max(bins)


def learned(trace: Trace, wake_minutes: float, timeout_minutes: int) -> Outcome:
    """Learned sleep from nothing; a wake costs as much as so many idle minutes."""
    learner = Learner()
    prices = Prices(timeout=60.0 * (1 + timeout_minutes), wake=60.0 * wake_minutes)
    cold, idle, wakes = [0] * len(trace.calls), 0, 0
    names = [str(number) for number in range(len(trace.calls))]
    was_awake = [False] * len(names)
    for minute, called in enumerate(_by_minute(trace)):
        now, awake = 60.0 * minute, set()
        # All is judged before any call of the minute is told.
        for number, name in enumerate(names):
            if not learner.is_silent(name):
                continue
            if learner.verdict(name, now).awake:
                awake.add(number)
                wakes += not was_awake[number]
        idle += len(awake.difference(called))
        for number in called:
            cold[number] += number not in awake
            learner.called(names[number], now)
            learner.silent(names[number], prices, now, grid.MINUTE)
        was_awake = [number in awake or number in called for number in range(len(names))]
    return Outcome(trace, cold, idle, wakes)


def _by_minute(trace: Trace) -> Sequence[set[int]]:
    minutes: list[set[int]] = [set() for _ in range(trace.minutes)]
    for number, calls in enumerate(trace.calls):
        for minute in calls:
            minutes[minute].add(number)
    return minutes
