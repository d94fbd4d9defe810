"""Which running Tidegate a command is for, and how its answer is shown."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli_options import AsJson, Config
from tidegate.cli_print import print_json
from tidegate.cli_target import WrongUse, find_target
from tidegate.client import AdminClient


@dataclass(frozen=True, slots=True)
class Running:
    """Options of every command that talks to one."""

    admin: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="TIDEGATE_ADMIN",
            help="The admin API. Default: admin.listen of the file, then http://127.0.0.1:9900.",
        ),
    ] = None
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: admin.token_file of the file.")
    ] = None
    config: Config = None
    as_json: AsJson = False

    def connect(self, timeout: float = 10.0) -> AdminClient:
        """`timeout` in seconds. Raises WrongUse."""
        target = find_target(self.admin, self.token_file, self.config, os.environ)
        try:
            return AdminClient(target.url, target.token(), timeout)
        except ValueError as error:
            raise WrongUse(f"--admin: {error}") from error

    def show(self, answer: Any, text: str) -> None:
        """The answer for programs, the text for people."""
        if self.as_json:
            print_json(answer)
        else:
            typer.echo(text)
