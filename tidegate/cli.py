"""The command line: its commands, its exit codes, and those commands that need no running Tidegate.

Exit codes: 0 done, 1 failed, 2 wrong use or wrong configuration. What a command needs is imported
when it runs, so that the program starts at once.
"""

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from config import location
from tidegate import __version__, cli_record, cli_remote, cli_rollout, cli_simulate, cli_tune
from tidegate.cli_follow import StreamFailed
from tidegate.cli_options import AsJson, Config, with_options
from tidegate.cli_print import print_json, print_problems
from tidegate.cli_target import WrongUse
from tidegate.cli_words import count
from tidegate.client import Refused, Unreachable

FAILED = 1
WRONG = 2
_FAILURES = (
    Unreachable,
    StreamFailed,
    cli_remote.NotKnown,
    cli_record.NotRecorded,
    cli_simulate.SimulationFailed,
)

app = typer.Typer(
    name="tidegate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code. Errors that a user can meet are one line; the rest are bugs."""
    try:
        app(args=arguments, prog_name="tidegate")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else FAILED
    except WrongUse as error:
        return _told(error, WRONG)
    except _FAILURES as error:
        return _told(error, FAILED)
    except Refused as error:
        return _refused(error)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _bug(error)
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidegate {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Cloud Run for the machines you have."""


@app.command()
def run(
    config: Config = None,
    keep_replicas: Annotated[
        bool, typer.Option("--keep-replicas", help="Leave replicas running at the end.")
    ] = False,
    log_format: Annotated[LogFormat, typer.Option(help="Of the log on stderr.")] = LogFormat.TEXT,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is logged.")] = LogLevel.INFO,
) -> None:
    """Run the whole system in the foreground. SIGTERM drains and stops, SIGHUP reloads."""
    from tidegate import run as life

    file = location.find(config, os.environ)
    raise typer.Exit(life.main(file, keep_replicas, log_format.value, log_level.value))


@app.command()
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Check the configuration file: all errors at once. Exit code 0, also with warnings, or 2."""
    from config.errors import ConfigError
    from config.loader import load

    try:
        settings = load(location.find(config, os.environ))
    except ConfigError as error:
        print_problems([str(problem) for problem in error.problems], as_json)
        raise typer.Exit(WRONG) from None
    services, warnings = len(settings.services), settings.warnings
    if as_json:
        print_json({"ok": True, "services": services, "problems": [], "warnings": warnings})
        return
    for warning in warnings:
        typer.echo(warning, err=True)
    but = f", {count(len(warnings), 'warning')}" if warnings else ""
    typer.echo(f"OK: {count(services, 'service')}{but}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for completion in editors."""
    import json

    from config.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


for _command in (
    cli_remote.status,
    cli_remote.explain,
    cli_remote.scale,
    cli_remote.lease,
    cli_rollout.restart,
    cli_rollout.rollback,
    cli_remote.reload,
    cli_remote.upgrade,
    cli_remote.events,
    cli_remote.logs,
    cli_simulate.simulate,
    cli_tune.tune,
):
    app.command()(with_options(_command))


app.add_typer(cli_record.app, name="record")


@app.command()
def version() -> None:
    """Print the version."""
    _print_version(True)


def _told(error: Exception | str, code: int) -> int:
    typer.echo(f"tidegate: {error}", err=True)
    return code


def _refused(error: Refused) -> int:
    if error.code == "unauthorized":
        return _told("Tidegate wants a token, and the right one: --token-file FILE", FAILED)
    return _told(error, WRONG if error.code == "invalid-request" else FAILED)


def _bug(error: Exception) -> int:
    """A trace is for whoever mends it: only shown when asked for."""
    if os.environ.get("TIDEGATE_TRACEBACK"):
        raise error
    typer.echo(
        f"tidegate: internal error: {type(error).__name__}: {error}\n"
        "this is a bug, please report it with what TIDEGATE_TRACEBACK=1 shows",
        err=True,
    )
    return FAILED
