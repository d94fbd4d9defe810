"""From what is given on the command line to simulations that ran: files are read, work is shared.

All that is wrong with what was asked is WrongUse, said before the first simulation begins.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from config.errors import ConfigError
from config.loader import load, parse
from config.scaling import PolicyName
from config.settings import Settings
from simulation.crew import BEGINS, Crew, Failed, Ground
from simulation.known import Known
from simulation.mapping import UNNAMED, Mapped, Unmappable, mapped, template_of, under
from simulation.reading import Read, read, recorded
from simulation.run import Progress as Telling
from simulation.trials import Result, Task
from tidegate.cli_given import WrongOption, assumptions, begins, demand
from tidegate.cli_given_options import Given
from tidegate.cli_print import print_problems
from tidegate.cli_simulate import SimulationFailed
from tidegate.cli_target import WrongUse

DEFAULTS = "Tidegate's defaults"
_WRONG = 2
_IN_MEMORY = Path("/nowhere/tidegate.yaml")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`here` is the traffic as this process has read it; `files` are the configurations' names."""

    given: Given
    ground: Ground
    here: Read
    known: Known
    tasks: tuple[Task, ...]
    files: tuple[str, ...]
    warnings: tuple[str, ...]
    made: int  # services that were made after `template`
    template: str | None
    named: frozenset[str]  # services of the (first) configuration


def prepare(
    given: Given,
    configs: Sequence[str],
    policies: Sequence[PolicyName],
    as_json: bool = False,
) -> Rehearsal:
    """Raises WrongUse, or typer.Exit after telling what is wrong with a configuration."""
    service = given.service
    with telling_what_is_wrong():
        loaded = [(name, settings_of(name, as_json)) for name in configs]
        if not loaded:
            loaded = [(DEFAULTS, _defaults(service or "web"))]
        named = _unnamed_goes_to(loaded, service)
        wanted = replace(demand(given, named), recorded_until=float(int(time.time())))
        known = recorded(wanted)
        begin = BEGINS if known.begins is None else known.begins + wanted.begin
        ground = Ground(wanted, assumptions(given, known), begins(given) or begin)
        here = read(wanted)
        fits = [_fitting(name, settings, here, service) for name, settings in loaded]
    return Rehearsal(
        given,
        ground,
        here,
        known,
        tuple(_tasks(loaded, fits, policies, given.seed)),
        tuple(name for name, _ in loaded),
        tuple(dict.fromkeys(_warnings(loaded, fits))),
        len(fits[0].made),
        template_of(loaded[0][1], service),
        frozenset(loaded[0][1].services),
    )


def run(rehearsal: Rehearsal) -> list[Result]:
    """All variants, at once in as many processes as were asked for. Raises
    SimulationFailed."""
    crew = Crew(rehearsal.ground, rehearsal.here, processes(rehearsal))
    try:
        with bar("simulating") as progress:
            return crew.run(rehearsal.tasks, progress)
    except Failed as error:
        raise SimulationFailed(str(error)) from error
    finally:
        crew.close()


def processes(rehearsal: Rehearsal) -> int:
    """As many as asked for, 0: as many as this process may use cores."""
    jobs = rehearsal.given.jobs
    if jobs or not hasattr(os, "sched_getaffinity"):
        return jobs or os.cpu_count() or 1
    return len(os.sched_getaffinity(0))


@contextmanager
def bar(what: str) -> Iterator[Telling]:
    """A progress bar on a terminal, on the error stream; nothing elsewhere."""
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)


@contextmanager
def telling_what_is_wrong() -> Iterator[None]:
    try:
        yield
    except (WrongOption, Unmappable) as error:
        raise WrongUse(str(error)) from None
    except ValueError as error:  # of a trace or a shape
        raise WrongUse(str(error)) from None


def settings_of(name: str, as_json: bool) -> Settings:
    try:
        return load(Path(name))
    except ConfigError as error:
        print_problems([str(problem) for problem in error.problems], as_json)
        raise typer.Exit(_WRONG) from None


def _defaults(name: str) -> Settings:
    """One service with nothing but a command, which is never run."""
    try:
        whole = {"services": {name: {"command": ["simulated"]}}}
        return parse(yaml.safe_dump(whole), _IN_MEMORY, {})
    except ConfigError as error:
        raise WrongOption(f"--service: {error.problems[0].message}") from None


def _unnamed_goes_to(loaded: Sequence[tuple[str, Settings]], service: str | None) -> str:
    return template_of(loaded[0][1], service) or UNNAMED


def _fitting(name: str, settings: Settings, here: Read, service: str | None) -> Mapped:
    try:
        return mapped(settings, here.traffic.services, template_of(settings, service))
    except Unmappable as error:
        raise Unmappable(f"{name}: {error}") from None


def _tasks(
    loaded: Sequence[tuple[str, Settings]],
    fits: Sequence[Mapped],
    policies: Sequence[PolicyName],
    seed: int,
) -> Iterator[Task]:
    for (name, _), fit in zip(loaded, fits, strict=True):
        if not policies:
            yield Task(name, fit.settings, seed=seed)
        for policy in policies:
            label = policy if len(loaded) == 1 else f"{name} {policy}"
            yield Task(label, under(fit.settings, policy), seed=seed)


def _warnings(loaded: Sequence[tuple[str, Settings]], fits: Sequence[Mapped]) -> Iterator[str]:
    for (name, _), fit in zip(loaded, fits, strict=True):
        yield from (f"{name}: {note}" for note in fit.notes)
        if fit.left_out:
            yield f"{name}: nobody asks for {', '.join(fit.left_out)}: left out"
