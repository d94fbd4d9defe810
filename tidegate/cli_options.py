"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Default: TIDEGATE_CONFIG, then tidegate.yaml."),
]
Admin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        envvar="TIDEGATE_ADMIN",
        help="The admin API. Default: admin.listen of the file, then http://127.0.0.1:9900.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="Default: admin.token_file of the file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ServiceName = Annotated[str, typer.Argument(show_default=False)]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")]
