"""`tidegate simulate`: traffic against configurations and policies, in virtual time.

Nothing of a running Tidegate is touched: no state, no engine, no port.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli_given_options import Given
from tidegate.cli_options import AsJson
from tidegate.cli_target import WrongUse


class SimulationFailed(Exception):
    """A simulation came to nothing; the text names the variant. Exit code 1."""


class PolicyOf(StrEnum):
    TIDEGATE = "tidegate"
    KPA = "kpa"
    HPA = "hpa"
    RAY = "ray"


Configs = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="FILE", help="One or several. Default: Tidegate's defaults."),
]
Policies = Annotated[
    list[PolicyOf] | None,
    typer.Option("--policy", help="Instead of that of the file, for all services; several too."),
]
CsvTo = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="DIR|FILE", help="FILE.csv gets the table, a folder all there is."
    ),
]
PicturesTo = Annotated[
    Path | None,
    typer.Option("--pictures", metavar="DIR", help="By matplotlib, an extra."),
]


def simulate(
    *,
    config: Configs = None,
    policy: Policies = None,
    given: Given,
    csv: CsvTo = None,
    pictures: PicturesTo = None,
    as_json: AsJson = False,
) -> None:
    """Replay traffic against configurations in virtual time: waits, cold starts, cost."""
    from config.scaling import PolicyName
    from tidegate import cli_rehearsal, cli_results
    from tidegate.cli_given import prices_of

    if pictures is not None:
        _can_draw()
    names: list[PolicyName] = [one.value for one in policy or ()]
    rehearsal = cli_rehearsal.prepare(given, config or (), names, as_json)
    for warning in rehearsal.warnings:
        typer.echo(f"warning: {warning}", err=True)
    results, prices = cli_rehearsal.run(rehearsal), prices_of(given)
    if csv is not None:
        cli_results.write_tables(csv, results, prices)
    if pictures is not None:
        cli_results.draw(pictures, results)
    if as_json:
        cli_results.print_as_json(rehearsal, results, prices)
    else:
        cli_results.print_table(rehearsal, results, prices)


def _can_draw() -> None:
    """Said before the work, not after it."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise WrongUse("--pictures needs matplotlib: python3 -m pip install 'tidegate[pictures]'")
