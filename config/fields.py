"""The kinds of value that the models are made of, each checked as it is read.

Pure. Nothing is guessed: text is no number, 1 is not true. One text may stand for a list of one.
"""

import shlex
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    StringConstraints,
)

from config import addresses
from config.wording import shown


class Model(BaseModel):
    """Frozen and hashable, so that defaults are shared; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AsWritten(Model):
    """Also what was not written counts, so that one which says a default is not equal to one which
    leaves it out. The hash may be the same."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AsWritten):
            return NotImplemented
        return super().__eq__(other) and self.model_fields_set == other.model_fields_set


def one_or_many(value: object) -> object:
    """A text is a list of one."""
    return (value,) if isinstance(value, str) else value


def words(value: object) -> object:
    """A command given as one text is split as a shell would; no shell runs it."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(shlex.split(value))
    except ValueError:
        raise ValueError("has a quote that is never closed") from None


def pairs(value: object) -> object:
    """A mapping as pairs, in its order."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    if isinstance(value, tuple):
        return value
    got = "a text" if isinstance(value, str) else shown(value)
    raise ValueError(f"must be a mapping of names to values, got {got}")


def _env_name(name: str) -> str:
    if not addresses.ENV_NAME.fullmatch(name):
        raise ValueError("is not a name for a variable: use letters, digits, _ . -")
    return name


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"must be an absolute path inside the container, got {shown(path)}")
    return path


Count = Annotated[int, Strict()]
Number = Annotated[float, Strict(), AfterValidator(float)]
Amount = Annotated[float, Strict(), Field(gt=0), AfterValidator(float)]
Times = Annotated[float, Strict(), Field(ge=1.5), AfterValidator(float)]
Flag = Annotated[bool, Strict()]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(_no_nul)]
Absolute = Annotated[Text, AfterValidator(_absolute)]

Listen = Annotated[str, AfterValidator(addresses.listen)]
Endpoint = Annotated[str, AfterValidator(addresses.endpoint)]
Host = Annotated[str, AfterValidator(addresses.host_pattern)]
UrlPath = Annotated[str, AfterValidator(addresses.url_path)]
Network = Annotated[str, AfterValidator(addresses.network)]
Image = Annotated[Text, AfterValidator(addresses.image)]
NetworkName = Annotated[str, AfterValidator(addresses.network_name)]
Volume = Annotated[str, AfterValidator(addresses.volume)]

_OneOrMany = BeforeValidator(one_or_many, json_schema_input_type=str | list[str])
Texts = Annotated[tuple[Text, ...], _OneOrMany]
Listens = Annotated[tuple[Listen, ...], _OneOrMany, Field(min_length=1)]
Redirects = Annotated[tuple[Listen, ...], _OneOrMany]
Endpoints = Annotated[tuple[Endpoint, ...], _OneOrMany]
Hosts = Annotated[tuple[Host, ...], _OneOrMany]
Prefixes = Annotated[tuple[UrlPath, ...], _OneOrMany]
UrlPaths = Annotated[tuple[UrlPath, ...], _OneOrMany, Field(min_length=1)]
Networks = Annotated[tuple[Network, ...], _OneOrMany]
NetworkNames = Annotated[tuple[NetworkName, ...], _OneOrMany]
Volumes = Annotated[tuple[Volume, ...], _OneOrMany]
Command = Annotated[
    tuple[Annotated[str, AfterValidator(_no_nul)], ...],
    BeforeValidator(words, json_schema_input_type=str | list[str | int | float | bool]),
]

_AS_MAPPING: Any = PlainSerializer(dict, return_type=dict[str, str])
_FromMapping = BeforeValidator(pairs, json_schema_input_type=dict[str, str | int | float | bool])
_Value = Annotated[str, AfterValidator(_no_nul)]
Env = Annotated[
    tuple[tuple[Annotated[str, AfterValidator(_env_name)], _Value], ...], _FromMapping, _AS_MAPPING
]
Labels = Annotated[tuple[tuple[Text, _Value], ...], _FromMapping, _AS_MAPPING]
