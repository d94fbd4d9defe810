"""What `tidegate tune` found, in words, as JSON and as a block with its evidence.

The block that is written is the one that is recommended: the chosen one if it is better on the part
of the traffic that it never saw, else the present one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import typer
from rich.table import Table

from config.scaling import Scaling
from config.units import format_duration
from simulation.block import plain, written
from simulation.front import thinned
from simulation.objective import Measures, Objective
from simulation.tuning import Plan, Tuned
from tidegate import cli_results
from tidegate.cli_given import supposed
from tidegate.cli_print import print_json
from tidegate.cli_results import share_in_words, wait_in_words
from tidegate.cli_target import WrongUse
from tidegate.cli_tuning import Session
from tidegate.cli_words import span

_MOST_SHOWN = 12


def print_report(session: Session, tuned: Tuned) -> None:
    for name, value in _premises(session):
        typer.echo(f"{name:<16}{value}")
    wait = session.plan.objective.latency
    typer.echo(f"\nCost against {wait}: what no other try beats in both, on the training part")
    cli_results.show(_front(session.plan.objective, tuned), folds=True)
    typer.echo()
    cli_results.show(_comparison(session.plan, tuned))
    typer.echo(f"\n{_conclusion(tuned)}")


def print_as_json(session: Session, tuned: Tuned) -> None:
    plan = session.plan
    print_json(
        {
            "objective": str(plan.objective),
            "premises": dict(_premises(session)),
            "tried": tuned.tried,
            "training": list(plan.training),
            "held_out": list(plan.held_out),
            "is_better": tuned.verdict.is_better,
            "says": tuned.verdict.says,
            "changes": dict(tuned.changes),
            "blocks": {
                name: {"training": dict(trained), "held_out": dict(held)}
                for name, (trained, held) in tuned.rows.items()
            },
            "front": [
                {"cost": cost, plan.objective.latency: wait, "changes": dict(changes)}
                for cost, wait, changes in tuned.front
            ],
            "scaling": plain(recommended(plan, tuned)),
        }
    )


def write(session: Session, tuned: Tuned, out: Path | None, as_json: bool) -> None:
    """The block with its evidence: into the file, else after the report. Raises WrongUse."""
    text = written(recommended(session.plan, tuned), _evidence(session, tuned))
    if out is None:
        if not as_json:
            typer.echo(f"\n{text}", nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"--out: cannot write {out}: {error.strerror}") from None


def recommended(plan: Plan, tuned: Tuned) -> Scaling:
    return tuned.chosen if tuned.verdict.is_better else plan.space.scaling


def _premises(session: Session) -> Iterator[tuple[str, str]]:
    rehearsal, plan = session.rehearsal, session.plan
    given, traffic = rehearsal.given, rehearsal.here.traffic
    yield "objective", str(plan.objective)
    yield "traffic", ", ".join(given.sources())
    yield "training", f"the first {span(plan.training[1])} of {span(traffic.seconds)}"
    yield "held out", f"the last {span(plan.held_out[1] - plan.held_out[0])}"
    yield "service", f"{session.service} of {rehearsal.files[0]}"
    yield from supposed(given, rehearsal.here.work.drawn, 1, rehearsal.known)
    replica, gib = plan.prices.replica_hour or 0.0, plan.prices.gib_hour or 0.0
    yield "cost", f"{replica:g} for an hour of a replica that is awake, {gib:g} for that of a GiB"
    yield "seed", str(given.seed)


def _front(aim: Objective, tuned: Tuned) -> Table:
    shown = cli_results.columns(">COST", f">{aim.latency.upper()}", "CHANGES")
    for cost, wait, changes in thinned(list(tuned.front), _MOST_SHOWN):
        shown.add_row(f"{cost:.4g}", wait_in_words(wait), _changes(changes) or "none: the present")
    return shown


def _comparison(plan: Plan, tuned: Tuned) -> Table:
    titles = (
        ">COST",
        ">",
        ">P95",
        ">P99",
        ">MAX",
        ">DELAYED",
        ">FAILED",
        ">COLD",
        ">AWAKE-S",
        ">FROZEN-S",
    )
    shown = cli_results.columns("RULES", "PART", *titles)
    for place, part in enumerate(("training", "held out")):
        for name, both in tuned.rows.items():
            shown.add_row(name, part, *_cells(both[place], tuned.rows["present"][place]))
    return shown


def _cells(of: Measures, present: Measures) -> Iterator[str]:
    yield f"{of['cost']:.4g}"
    yield "" if of is present else cli_results.change_in_words(of["cost"], present["cost"])
    yield from (wait_in_words(of[f"{which} wait"]) for which in ("p95", "p99", "max"))
    yield share_in_words(of["delayed"])
    yield share_in_words(of["failed"])
    yield f"{of['cold starts']:,.0f}"
    yield f"{of['replica-seconds'] - of['frozen-seconds']:,.0f}"
    yield f"{of['frozen-seconds']:,.0f}"


def _conclusion(tuned: Tuned) -> str:
    says = tuned.verdict.says
    if not tuned.verdict.is_better:
        return f"Keep the present rules: {says}."
    return f"Recommended: {_changes(tuned.changes)}; {says}."


def _evidence(session: Session, tuned: Tuned) -> Iterator[str]:
    yield "From `tidegate tune`:"
    yield from (f"  {name:<16}{value}" for name, value in _premises(session))
    yield f"  {'tries':<16}{tuned.tried}"
    yield ""
    yield from (f"  {line}" for line in cli_results.lines(_comparison(session.plan, tuned)))
    yield ""
    yield _conclusion(tuned)


def _changes(changes: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_value(name, value)}" for name, value in changes.items())


def _value(name: str, value: object) -> str:
    if name in _DURATIONS:
        return "never" if value is None else format_duration(float(str(value)))
    if isinstance(value, int | float):
        return f"{value:.0%}" if name == "panic_threshold" else f"{value:g}"
    return str(value)


_DURATIONS = (
    "stable_window", "panic_window", "down_delay", "freeze_after", "stop_after",
)  # fmt: skip
