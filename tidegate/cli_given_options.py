"""The options that `simulate` and `tune` share: what is replayed, and what is supposed.

Each stands here once: who has a parameter of this type has an option for each field of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True)
class Given:
    """As written; None was not."""

    traces: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TRACE]…",
            show_default=False,
            help="CSV of times or counts, an access log, minutes of Azure Functions, a recording.",
        ),
    ] = None
    service: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose rules requests get whose service the file does not name. "
            "Default: the only one of the file.",
        ),
    ] = None
    shapes: Annotated[
        list[str] | None,
        typer.Option(
            "--shape", metavar="SHAPE", help='As "spike(base=5, peak=200, at=10m, for=1m)".'
        ),
    ] = None
    duration: Annotated[str, typer.Option(metavar="TIME", help="Of shapes.")] = "1h"
    evenly: Annotated[
        bool, typer.Option("--evenly", help="Spread requests evenly where only counts are known.")
    ] = False
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Leave out what comes before.")
    ] = None
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="And what comes after.")
    ] = None
    service_time: Annotated[
        str | None,
        typer.Option(
            metavar="DISTRIBUTION",
            help='Of every request, as 200ms or "lognormal(mean=200ms, sd=1s)". '
            "Default: as the trace tells, else 200ms.",
        ),
    ] = None
    start_time: Annotated[
        str | None,
        typer.Option(metavar="DISTRIBUTION", help="Of a replica, until ready. Default: 150ms."),
    ] = None
    cores: Annotated[
        float | None,
        typer.Option(metavar="N", help="Requests share so many cores of their replica."),
    ] = None
    slowdown: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help='Or, as measured: "1:1, 4:1.5" by requests at once.'),
    ] = None
    start_failures: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Of starts, as 1%.")
    ] = None
    answer_failures: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Of answers, as 0.1%.")
    ] = None
    crash: Annotated[
        str | None, typer.Option(metavar="DISTRIBUTION", help="How long replicas live.")
    ] = None
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Of a replica. Default: as the trace tells, else 256MiB."
        ),
    ] = None
    price_replica_hour: Annotated[
        float | None, typer.Option(min=0.0, help="Of a replica that is awake.")
    ] = None
    price_gib_hour: Annotated[
        float | None, typer.Option(min=0.0, help="Of memory, frozen or not.")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is up to chance.")] = 1
    clock: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it begins, for schedules: 2026-11-23T08:00."),
    ] = None
    jobs: Annotated[int, typer.Option(min=0, help="Processes at once; 0 is one for each core.")] = 0

    def sources(self) -> list[str]:
        """What is replayed: traces, then shapes."""
        return [*map(str, self.traces or ()), *(self.shapes or ())]
