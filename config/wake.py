"""What happens around a service's sleep: who wakes it, what clients see, whom it needs. Frozen."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from config.addresses import SERVICE_NAME
from config.fields import Count, Labels, Model, Networks, Prefixes, Text, Texts, one_or_many
from config.wording import shown

Condition = Literal["started", "healthy", "completed"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_OURS = ("connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade")


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"must be a method, got {shown(text)}")
    return text


def _fields(fields: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """RFC 9110 §5.1, §5.5; those that frame the answer are the gateway's own."""
    for name, value in fields:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"must have names of fields, got {shown(name)}")
        if name.lower() in _OURS:
            raise ValueError(f"must leave {shown(name)} to the gateway")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"must be printable ASCII, which that of {shown(name)} is not")
    return fields


Fields = Annotated[Labels, AfterValidator(_fields)]
Methods = Annotated[
    tuple[Annotated[str, AfterValidator(_method)], ...],
    BeforeValidator(one_or_many, json_schema_input_type=str | list[str]),
]


class StaticAnswer(Model):
    """What an ignored request gets while the service sleeps."""

    status: Annotated[Count, Field(ge=200, le=599)] = Field(200, description="HTTP status.")
    headers: Fields = Field((), description="Its fields, beside those that frame it.")
    body: str = Field("", description="Its text.")


class Ignored(Model):
    """Requests that neither wake a service nor keep it awake; any of these is enough."""

    user_agents: Texts = Field((), description='Parts of User-Agent: "UptimeRobot", any case.')
    paths: Prefixes = Field((), description='Beginnings of paths: "/healthz".')
    networks: Networks = Field((), description="Clients' networks: 10.0.0.0/8.")
    methods: Methods = Field((), description="Methods: HEAD.")
    answer: StaticAnswer = Field(
        StaticAnswer(), description="While no replica is awake; else the replica answers."
    )

    @property
    def is_any(self) -> bool:
        """Whether there are any."""
        return bool(self.user_agents or self.paths or self.networks or self.methods)


class WakeAnswers(Model):
    """What clients see while a service wakes; all others are held."""

    page: Literal["never", "auto"] = Field(
        "never", description="auto: navigations of browsers get a page that waits with them."
    )
    fallback: Text | None = Field(None, description="Another service that answers meanwhile.")


class Needed(Model):
    """When a dependency is there."""

    condition: Condition = Field("healthy", description="What it must have reached.")


def _service(name: str) -> str:
    if not SERVICE_NAME.fullmatch(name):
        raise ValueError(f"must be the name of a service, got {shown(name)}")
    return name


def _needs(value: object) -> object:
    """A list is short for a mapping with `condition: healthy`, as in Compose."""
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple((name, {}) for name in value)
    if isinstance(value, Mapping):
        return tuple((name, need or {}) for name, need in value.items())
    return value


def _written(needs: tuple[tuple[str, Needed], ...]) -> dict[str, Any]:
    return {name: need.model_dump(mode="json") for name, need in needs}


_ANY: Any = dict[str, Needed] | list[str]
Needs = Annotated[
    tuple[tuple[Annotated[str, AfterValidator(_service)], Needed], ...],
    BeforeValidator(_needs, json_schema_input_type=_ANY),
    PlainSerializer(_written, return_type=dict[str, Any]),
]
