"""Simulations at once, one process each: they have nothing in common but where they come from.

Each process reads the traffic itself, once. However many there are, results are the same, and come
in the order of the tasks. When this process ends, in whatever way, so do they.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for
from typing import Any

from simulation.assumptions import Assumptions
from simulation.curve import longer_than
from simulation.demand import Demand
from simulation.reading import Read, read
from simulation.run import Progress, Story, simulate
from simulation.traffic import cut
from simulation.trials import Result, Task

BEGINS = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
_MOST = 4096  # tasks of one call
_LOOK_EVERY = 0.2  # seconds


class Failed(Exception):
    """A simulation came to nothing; the text names it."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all simulations have in common. `begins`: the wall clock at first (since 1970)."""

    demand: Demand
    assumptions: Assumptions
    begins: float = BEGINS


class Crew:
    """`jobs` processes; with 1, or for a single task, this one does all by itself."""

    def __init__(self, ground: Ground, here: Read, jobs: int) -> None:
        """`here` is the traffic of the ground, as it was read in this process."""
        self._ground = ground
        self._here = here
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._shares: Any = None

    def run(self, tasks: Sequence[Task], progress: Progress = lambda share: None) -> list[Result]:
        """Raises Failed. `progress` is told the share of all that is done."""
        if self._jobs == 1 or (len(tasks) == 1 and self._pool is None):
            return [
                _told(self._ground, self._here, task, _part(progress, number, len(tasks)))
                for number, task in enumerate(tasks)
            ]
        with self._ending_all_on_errors():
            pool = self._opened(len(tasks))
            self._shares[:] = [0.0] * _MOST
            with _unheard():
                futures = {
                    pool.submit(_work, number, task): task for number, task in enumerate(tasks)
                }
            self._watch(futures, progress)
            return [_result(task, future) for future, task in futures.items()]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _opened(self, tasks: int) -> ProcessPoolExecutor:
        """By spawn: a process with threads must not be copied. No more than have work at first."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._shares = context.Array("d", _MOST, lock=False)
            self._pool = ProcessPoolExecutor(
                min(self._jobs, tasks), context, _begin, (self._ground, self._shares)
            )
        return self._pool

    def _watch(self, futures: Mapping[Future[Result], Task], progress: Progress) -> None:
        """Until all have ended, or the first one has failed."""
        left = set(futures)
        while left:
            done, left = wait(left, _LOOK_EVERY, FIRST_EXCEPTION)
            for future in done:
                _result(futures[future], future)
            progress(sum(self._shares[: len(futures)]) / len(futures))

    @contextlib.contextmanager
    def _ending_all_on_errors(self) -> Iterator[None]:
        before = set(multiprocessing.active_children())
        try:
            yield
        except BaseException:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            self.close()
            raise


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Processes that begin meanwhile never hear Ctrl-C: it is for the one that was started by hand,
    which hears it a moment later and tells the others."""
    resource_tracker.ensure_running()  # which would let the signal through again
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _part(progress: Progress, number: int, all_of_them: int) -> Progress:
    return lambda share: progress((number + share) / all_of_them)


def _result(task: Task, future: Future[Result]) -> Result:
    try:
        return future.result()
    except BrokenProcessPool:
        message = f"{task.label}: its process was ended: if memory was short, use --jobs 1"
        raise Failed(message) from None


def _told(ground: Ground, here: Read, task: Task, progress: Progress) -> Result:
    traffic = cut(here.traffic, *task.part) if task.part else here.traffic
    before = here.work.drawn
    story = Story(task.settings, traffic, ground.assumptions, task.seed, ground.begins)
    try:
        with _quiet():
            outcome = simulate(story, progress)
    except Exception as error:
        cause = _cause(error)
        raise Failed(f"{task.label}: {type(cause).__name__}: {cause}") from error
    curve = longer_than(outcome.waits, outcome.requests)
    return Result(task.label, replace(outcome, waits=()), curve, here.work.drawn - before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What production code would log happened to nobody."""
    former = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(former)


def _cause(error: BaseException) -> BaseException:
    """What went wrong first, of all that ended for it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


# In the other processes

_given: list[tuple[Ground, Read, Any]] = []


def _begin(ground: Ground, shares: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _given.append((ground, read(ground.demand), shares))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _work(number: int, task: Task) -> Result:
    ground, here, shares = _given[0]

    def progress(share: float) -> None:
        shares[number] = share

    result = _told(ground, here, task, progress)
    progress(1.0)
    return result
