"""`tidegate tune`: searches for better rules of one service, on traffic that it has had."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli_given_options import Given
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
    *,
    config: Configuration = None,
    objective: ObjectiveOf = "p99 wait <= present, least cost",
    tries: Tries = 120,
    hold_out: HoldOut = "30%",
    policies: AlsoPolicies = False,
    out: OutTo = None,
    given: Given,
    as_json: AsJson = False,
) -> None:
    """Search for the rules that reach an objective on traffic, and try them on what they never saw.

    Exit code 0 also when the present rules are best: that is an answer.
    """
    from tidegate import cli_tuned, cli_tuning

    wish = cli_tuning.Wish(objective, tries, hold_out, policies)
    session = cli_tuning.prepare(given, wish, config, as_json)
    for warning in session.rehearsal.warnings:
        typer.echo(f"warning: {warning}", err=True)
    tuned = cli_tuning.run(session)
    if as_json:
        cli_tuned.print_as_json(session, tuned)
    else:
        cli_tuned.print_report(session, tuned)
    cli_tuned.write(session, tuned, out, as_json)
