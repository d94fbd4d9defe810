"""`tidegate tune`: searches for better rules of one service, on traffic that it has had."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate import cli_given_options as given
from tidegate.cli_options import AsJson

Configuration = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Default: Tidegate's defaults.")
]
ObjectiveOf = Annotated[
    str,
    typer.Option(
        "--objective",
        metavar="OBJECTIVE",
        help='As "p99 wait < 500ms, least cost"; "present" is what the present rules reach.',
    ),
]
Tries = Annotated[int, typer.Option("--tries", min=1, help="Simulations to spend.")]
HoldOut = Annotated[
    str, typer.Option("--hold-out", metavar="SHARE", help="The last part, to judge the choice by.")
]
AlsoPolicies = Annotated[
    bool, typer.Option("--policies", help="Also try the policies kpa, hpa and ray.")
]
OutTo = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the block there instead.")
]


def tune(
    traces: given.Traces = None,
    config: Configuration = None,
    service: given.StandsFor = None,
    objective: ObjectiveOf = "p99 wait <= present, least cost",
    tries: Tries = 120,
    hold_out: HoldOut = "30%",
    policies: AlsoPolicies = False,
    out: OutTo = None,
    shape: given.Shapes = None,
    duration: given.Duration = "1h",
    evenly: given.Evenly = False,
    begin: given.From = None,
    end: given.To = None,
    service_time: given.ServiceTime = None,
    start_time: given.StartTime = None,
    cores: given.CoresOf = None,
    slowdown: given.SlowdownOf = None,
    start_failures: given.StartFailures = None,
    answer_failures: given.AnswerFailures = None,
    crash: given.Crash = None,
    memory: given.MemoryOf = None,
    price_replica_hour: given.PriceReplica = None,
    price_gib_hour: given.PriceGib = None,
    seed: given.Seed = 1,
    clock: given.Clock = None,
    jobs: given.Jobs = 0,
    as_json: AsJson = False,
) -> None:
    """Search for the rules that reach an objective on traffic, and try them on what they never saw.

    Exit code 0 also when the present rules are best: that is an answer.
    """
    from simulation.report import Prices
    from tidegate import cli_tuned, cli_tuning
    from tidegate.cli_given import Given

    asked = Given(
        tuple(traces or ()), tuple(shape or ()), duration, evenly, begin, end, seed, clock,
        service_time, start_time, cores, slowdown, start_failures, answer_failures, crash, memory,
    )  # fmt: skip
    wish = cli_tuning.Wish(
        objective, tries, hold_out, policies, Prices(price_replica_hour, price_gib_hour)
    )
    session = cli_tuning.prepare(asked, wish, config, service, as_json)
    for warning in session.rehearsal.warnings:
        typer.echo(f"warning: {warning}", err=True)
    tuned = cli_tuning.run(session, jobs)
    if as_json:
        cli_tuned.print_as_json(session, tuned)
    else:
        cli_tuned.print_report(session, tuned)
    cli_tuned.write(session, tuned, out, as_json)
