"""What simulations came to: a table for people, JSON, CSV and pictures for the rest.

Above the table stands what was measured and what is only supposed: numbers are worth no more than
that.
"""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from simulation.report import Prices, as_json, numbers, relative, tables, variants_csv
from simulation.trials import Result
from tidegate import cli_given
from tidegate.cli_print import print_json
from tidegate.cli_rehearsal import Rehearsal
from tidegate.cli_target import WrongUse
from tidegate.cli_words import clean, count, span

_PIPE_WIDTH = 10_000
_MANY_NAMES = 4


def print_as_json(rehearsal: Rehearsal, results: Sequence[Result], prices: Prices) -> None:
    print_json(
        {
            "premises": dict(premises(rehearsal, results[0])),
            "seed": rehearsal.given.seed,
            "warnings": list(rehearsal.warnings),
            "variants": as_json(results, prices),
        }
    )


def print_table(rehearsal: Rehearsal, results: Sequence[Result], prices: Prices) -> None:
    for name, value in premises(rehearsal, results[0]):
        typer.echo(f"{name:<16}{clean(value)}")
    typer.echo()
    whole = table(results, prices)
    if not sys.stdout.isatty() or _width(whole) <= Console().width:
        show(whole)
        return
    show(table(results, prices, _WAITS))
    typer.echo()
    show(table(results, prices, _COSTS))


def show(table: Table, folds: bool = False) -> None:
    """Numbers do not fold: where a terminal is too narrow for them, its lines break."""
    width = Console().width if sys.stdout.isatty() and folds else _PIPE_WIDTH
    typer.echo("\n".join(lines(table, Console(width=width, highlight=False, markup=False))))


def _width(table: Table) -> int:
    return max(map(len, lines(table)))


def lines(table: Table, console: Console | None = None) -> list[str]:
    """Without a console: as wide as it is, without colours."""
    console = console or Console(width=_PIPE_WIDTH, color_system=None, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def columns(*titles: str) -> Table:
    """A leading `>` sets a column to the right; only the first and the last one may fold."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(
            title.removeprefix(">"),
            justify="right" if title.startswith(">") else "left",
            no_wrap=title not in (titles[0], titles[-1]),
            overflow="fold",
        )
    return table


def premises(rehearsal: Rehearsal, first: Result) -> Iterator[tuple[str, str]]:
    """What was replayed, and what of it is measured or supposed."""
    given, traffic = rehearsal.given, rehearsal.here.traffic
    requests = first.outcome.requests
    yield "traffic", ", ".join(given.sources())
    yield "replayed", f"{_amount(requests, traffic.seconds)} to {_services(rehearsal)}"
    if len(rehearsal.files) == 1:
        yield "configuration", rehearsal.files[0]
    yield from cli_given.supposed(given, first.drawn, requests, rehearsal.known)
    yield "memory", _memory(rehearsal)
    if _has_schedules(rehearsal):
        begins = datetime.fromtimestamp(rehearsal.ground.begins, UTC)
        yield "begins", f"{begins:%Y-%m-%d %H:%M %A} UTC, which counts for schedules"
    yield "seed", str(given.seed)


def table(
    results: Sequence[Result], prices: Prices, of: "Sequence[_Column] | None" = None
) -> Table:
    """One row for each variant; changes are against the first. `of`: these columns only."""
    shows_changes = len(results) > 1
    chosen = [
        column for column in of or (*_WAITS, *_COSTS) if prices.are_given or column[0] != "COST"
    ]
    titles = [
        title
        for name, _, _, is_compared in chosen
        for title in (f">{name}", *([">"] if is_compared and shows_changes else []))
    ]
    shown = columns("VARIANT", *titles)
    rows = [numbers(result.outcome, prices) for result in results]
    for result, row in zip(results, rows, strict=True):
        cells = [clean(result.label)]
        for _, key, form, is_compared in chosen:
            value = row[key]
            cells.append("" if value is None else form(value))
            if is_compared and shows_changes:
                cells.append("" if result is results[0] else change_in_words(value, rows[0][key]))
        shown.add_row(*cells)
    return shown


def write_tables(target: Path, results: Sequence[Result], prices: Prices) -> None:
    """A file gets the table, a folder also what there is over time. Raises WrongUse."""
    try:
        if target.suffix == ".csv":
            target.write_text(variants_csv(results, prices), encoding="utf-8")
            return
        target.mkdir(parents=True, exist_ok=True)
        for name, text in tables(results, prices).items():
            (target / f"{name}.csv").write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"--csv: cannot write {target}: {error.strerror}") from None


def draw(folder: Path, results: Sequence[Result]) -> None:
    """Raises WrongUse."""
    from simulation import pictures

    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures.draw(folder, results)
    except OSError as error:
        raise WrongUse(f"--pictures: cannot write to {folder}: {error.strerror}") from None


def wait_in_words(seconds: float) -> str:
    """Three digits at most, in the unit that fits."""
    if seconds < 0.0005:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    return (
        f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.1f}s" if seconds < 100 else span(seconds)
    )


def share_in_words(share: float) -> str:
    """Of what is rare it is seen that it is not nothing."""
    if not share:
        return "0%"
    return "<0.01%" if share < 0.0001 else f"{share * 100:.2f}%"


def change_in_words(value: float | None, first: float | None) -> str:
    """As -12%; nothing where that says nothing."""
    change = relative(value, first)
    return "" if change is None else f"{change * 100:+.0f}%"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _cost(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.4f}"


# Title, key of `numbers`, how it is shown, whether it is compared with the first variant.
_Column = tuple[str, str, Callable[[float], str], bool]
_WAITS: tuple[_Column, ...] = (
    ("P50", "wait_p50", wait_in_words, False),
    ("P95", "wait_p95", wait_in_words, False),
    ("P99", "wait_p99", wait_in_words, True),
    ("MAX", "wait_max", wait_in_words, False),
    ("DELAYED", "delayed", share_in_words, False),
    ("COLD", "cold_starts", _whole, False),
    ("503", "refused", _whole, False),
    ("FAILED", "other_failures", _whole, False),
)
_COSTS: tuple[_Column, ...] = (
    ("REPLICA-S", "replica_seconds", _whole, True),
    ("GIB-S", "gib_seconds", _whole, False),
    ("ACTIONS", "actions", _whole, False),
    ("COST", "cost", _cost, True),
)


def _amount(requests: int, seconds: float) -> str:
    return f"{count(requests, 'request')} in {span(seconds)} ({requests / seconds:.3g}/s)"


def _services(rehearsal: Rehearsal) -> str:
    names = rehearsal.here.traffic.services
    if len(names) <= _MANY_NAMES and not rehearsal.made:
        return ", ".join(names)
    made = f", {rehearsal.made:,} of them after {rehearsal.template}" if rehearsal.made else ""
    return f"{count(len(names), 'service')}{made}"


def _has_schedules(rehearsal: Rehearsal) -> bool:
    return any(
        service.scaling.schedules
        for task in rehearsal.tasks
        for service in task.settings.services.values()
    )


def _memory(rehearsal: Rehearsal) -> str:
    if rehearsal.given.memory is not None:
        return f"{rehearsal.given.memory} a replica (given)"
    return (
        "measured in the trace" if rehearsal.here.traffic.memory else "256MiB a replica (supposed)"
    )
