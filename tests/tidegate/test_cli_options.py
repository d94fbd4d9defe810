"""Options that several commands have: written once, on the command line of each."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from tidegate.cli_given_options import Given
from tidegate.cli_options import with_options
from tidegate.cli_remote import events, logs, scale, status
from tidegate.cli_rollout import restart, rollback
from tidegate.cli_running import Running
from tidegate.cli_simulate import simulate
from tidegate.cli_tune import tune


@dataclass(frozen=True, slots=True)
class Paint:
    red: Annotated[int, typer.Option(min=0)] = 1
    names: Annotated[list[str] | None, typer.Option("--name")] = None


def painted(*arguments: str) -> tuple[int, list[tuple[str, Paint, bool]]]:
    heard: list[tuple[str, Paint, bool]] = []

    def paint(
        wall: Annotated[str, typer.Argument()],
        *,
        paint: Paint,
        twice: Annotated[bool, typer.Option("--twice")] = False,
    ) -> None:
        heard.append((wall, paint, twice))

    app = typer.Typer()
    app.command()(with_options(paint))
    return CliRunner().invoke(app, arguments).exit_code, heard


def test_what_is_written_arrives_in_its_field() -> None:
    arguments = ("north", "--red", "7", "--name", "a", "--name", "b", "--twice")
    assert painted(*arguments) == (0, [("north", Paint(7, ["a", "b"]), True)])


def test_what_is_not_written_is_as_the_field_says() -> None:
    assert painted("north") == (0, [("north", Paint(), False)])


def test_a_field_is_checked_as_any_option() -> None:
    assert painted("north", "--red", "-1") == (2, [])


@pytest.mark.parametrize(
    ("command", "group"),
    [
        *((one, Given) for one in (simulate, tune)),
        *((one, Running) for one in (status, scale, events, logs, restart, rollback)),
    ],
)
def test_commands_have_all_that_they_share(command: Callable[..., None], group: type) -> None:
    options = inspect.signature(with_options(command)).parameters
    assert {one.name for one in fields(group)} <= set(options)
