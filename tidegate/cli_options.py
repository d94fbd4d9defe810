"""The options that several commands share, and commands that have many of them in common."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from inspect import Parameter
from typing import Annotated, Any, get_type_hints

import typer

Config = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Default: TIDEGATE_CONFIG, then tidegate.yaml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ServiceName = Annotated[str, typer.Argument(show_default=False)]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """As typer wants it: a parameter whose type is a dataclass becomes an option for each field."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @functools.wraps(command)
    def told(**options: Any) -> None:
        for name, group in groups.items():
            options[name] = group(**{one.name: options.pop(one.name) for one in fields(group)})
        command(**options)

    parameters = tuple(_parameters(command, hints, groups))
    told.__annotations__ = {one.name: one.annotation for one in parameters}
    told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return told


def _parameters(
    command: Callable[..., None], hints: dict[str, Any], groups: dict[str, Any]
) -> Iterator[Parameter]:
    for one in inspect.signature(command).parameters.values():
        if (group := groups.get(one.name)) is None:
            yield one.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[one.name])
            continue
        within = get_type_hints(group, include_extras=True)
        for field in fields(group):
            yield Parameter(
                field.name, Parameter.KEYWORD_ONLY, default=field.default,
                annotation=within[field.name],
            )  # fmt: skip
