"""The commands that read what services with `record: true` have lived through.

They read the file in the state folder, so they need no running Tidegate and do not disturb one.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config import location
from tidegate.cli_options import AsJson, Config
from tidegate.cli_print import print_json
from tidegate.cli_target import WrongUse

if TYPE_CHECKING:
    from recording.reader import Recording
    from recording.rows import Known

app = typer.Typer(
    no_args_is_help=True, help="What services with `record: true` have lived through."
)

_TIME = 'A time such as 14:05, "10m ago" or 2026-11-23T14:05:00.'


class NotRecorded(Exception):
    """There is nothing to read, or it cannot be read; the text says why. Exit code 1."""


class What(StrEnum):
    ARRIVALS = "arrivals"
    TIMES = "times"
    SIZES = "sizes"
    STARTS = "starts"
    MEMORY = "memory"


@app.command("list")
def list_services(config: Config = None, as_json: AsJson = False) -> None:
    """What is recorded: services, since when, how many requests, and the bytes on disk."""
    with _recording(config) as recording:
        services = recording.services()
        size = recording.size()
    if as_json:
        print_json({"services": [_told(one) for one in services], "bytes": size})
        return
    for line in _lines(services):
        typer.echo(line)
    typer.echo(f"{_shown(size)} on disk")


@app.command()
def export(
    config: Config = None,
    service: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this one; default: all.")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help=f"Default: all. {_TIME}")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Default: now.")] = None,
    what: Annotated[
        What,
        typer.Option(help="Seconds with their requests; histograms of times or sizes; starts."),
    ] = What.ARRIVALS,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: standard output.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line instead.")] = False,
) -> None:
    """Write a table of what is recorded, as CSV with a line of names."""
    from recording import table

    since, until = _limits(begin, end)
    names = table.COLUMNS[what.value]
    with _recording(config) as recording:
        if service is not None:
            _must_be_known(recording, service)
        rows = table.rows(recording, what.value, service, since, until)
        if as_json:
            _write(csv, _as_json(names, rows))
        else:
            _write(csv, _as_csv(names, rows))


@contextmanager
def _recording(config: str | None) -> Iterator["Recording"]:
    """Raises WrongUse for a wrong configuration, NotRecorded."""
    from config.errors import ConfigError
    from config.loader import load
    from recording.reader import Recording
    from recording.schema import NAME, Unusable

    try:
        settings = load(location.find(config, os.environ))
    except ConfigError as error:
        raise WrongUse("\n".join(map(str, error.problems))) from None
    file = Path(settings.state_dir) / NAME
    try:
        with Recording(file) as recording:
            yield recording
    except FileNotFoundError:
        raise NotRecorded(
            f"nothing is recorded in {file}: a service needs `record: true`, and some traffic"
        ) from None
    except Unusable as error:
        raise NotRecorded(str(error)) from None


def _must_be_known(recording: "Recording", service: str) -> None:
    known = recording.names()
    if service not in known:
        raise NotRecorded(f"nothing of {service} is recorded, only of {', '.join(known) or 'none'}")


def _limits(begin: str | None, end: str | None) -> tuple[float, float]:
    from tidegate.cli_time import moment_of

    def at(option: str, text: str) -> float:
        try:
            return moment_of(text, datetime.now(UTC)).timestamp()
        except ValueError as error:
            raise WrongUse(f"{option}: {error}") from None

    since = at("--from", begin) if begin is not None else 0.0
    until = at("--to", end) if end is not None else math.inf
    if until <= since:
        raise WrongUse("--to must be later than --from")
    return since, until


def _as_csv(names: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    # No value needs quotes: names of services are plain words.
    yield ",".join(names)
    for row in rows:
        yield ",".join(map(str, row))


def _as_json(names: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    import orjson

    columns = tuple(names)
    for row in rows:
        yield orjson.dumps(dict(zip(columns, row, strict=True))).decode()  # infinity is null


def _write(file: Path | None, lines: Iterable[str]) -> None:
    if file is None:
        for line in lines:
            typer.echo(line)
        return
    try:
        with file.open("w", encoding="utf-8", newline="") as out:
            out.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise NotRecorded(f"cannot write {file}: {error.strerror}") from None


def _told(one: "Known") -> Mapping[str, Any]:
    return {
        "name": one.service,
        "from": _moment(one.begin),
        "to": _moment(one.end),
        "requests": one.requests,
        "starts": one.starts,
    }


def _lines(services: Iterable["Known"]) -> Iterator[str]:
    rows = [("SERVICE", "FROM", "TO", "REQUESTS", "STARTS")]
    for one in services:
        begin, end = _moment(one.begin), _moment(one.end)
        rows.append((one.service, begin, end, str(one.requests), str(one.starts)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(size: int) -> str:
    return f"{size / 2**20:.1f}MiB" if size >= 2**20 else f"{size / 2**10:.0f}KiB"
