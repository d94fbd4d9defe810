"""How the command line prints: one line of JSON for programs, problems on the error stream."""

import json
from collections.abc import Sequence
from typing import Any

import typer


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def print_problems(problems: Sequence[str], as_json: bool) -> None:
    """What is wrong with a configuration: for people on the error stream."""
    if as_json:
        print_json({"ok": False, "problems": list(problems)})
        return
    for problem in problems:
        typer.echo(problem, err=True)
