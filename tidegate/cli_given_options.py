"""The options of `simulate` and `tune`: what is replayed, and what is supposed."""

from pathlib import Path
from typing import Annotated

import typer

Traces = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[TRACE]…",
        show_default=False,
        help="CSV of times or counts, an access log, minutes of Azure Functions, a recording.",
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option("--shape", metavar="SHAPE", help='As "spike(base=5, peak=200, at=10m, for=1m)".'),
]
Duration = Annotated[str, typer.Option("--duration", metavar="TIME", help="Of shapes.")]
Evenly = Annotated[
    bool, typer.Option("--evenly", help="Spread requests evenly where only counts are known.")
]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Leave out what comes before.")
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="And what comes after.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything that is up to chance.")]
Clock = Annotated[
    str | None,
    typer.Option(
        "--clock", metavar="TIME", help="When it begins, for schedules: 2026-11-23T08:00."
    ),
]
ServiceTime = Annotated[
    str | None,
    typer.Option(
        "--service-time",
        metavar="DISTRIBUTION",
        help='Of every request, as 200ms or "lognormal(mean=200ms, sd=1s)". '
        "Default: as the trace tells, else 200ms.",
    ),
]
StartTime = Annotated[
    str | None,
    typer.Option(
        "--start-time", metavar="DISTRIBUTION", help="Of a replica, until ready. Default: 150ms."
    ),
]
CoresOf = Annotated[
    float | None,
    typer.Option("--cores", metavar="N", help="Requests share so many cores of their replica."),
]
SlowdownOf = Annotated[
    str | None,
    typer.Option(
        "--slowdown", metavar="TABLE", help='Or, as measured: "1:1, 4:1.5" by requests at once.'
    ),
]
StartFailures = Annotated[
    str | None, typer.Option("--start-failures", metavar="SHARE", help="Of starts, as 1%.")
]
AnswerFailures = Annotated[
    str | None, typer.Option("--answer-failures", metavar="SHARE", help="Of answers, as 0.1%.")
]
Crash = Annotated[
    str | None,
    typer.Option("--crash", metavar="DISTRIBUTION", help="How long replicas live."),
]
MemoryOf = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", help="Of a replica. Default: as the trace tells, else 256MiB."
    ),
]
PriceReplica = Annotated[
    float | None, typer.Option("--price-replica-hour", min=0.0, help="Of a replica that is awake.")
]
PriceGib = Annotated[
    float | None, typer.Option("--price-gib-hour", min=0.0, help="Of memory, frozen or not.")
]
StandsFor = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="NAME",
        help="Whose rules requests get whose service the file does not name. "
        "Default: the only one of the file.",
    ),
]
Jobs = Annotated[
    int, typer.Option("--jobs", min=0, help="Processes at once; 0 is one for each core.")
]
