"""What happens around a service's sleep: who wakes it, what clients see, whom it needs. Frozen."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from config.addresses import SERVICE_NAME
from config.fields import Count, Env, Model, Networks, Text, Texts
from config.wording import shown

Condition = Literal["started", "healthy", "completed"]


class StaticAnswer(Model):
    """What an ignored request gets while the service sleeps."""

    status: Annotated[Count, Field(ge=200, le=599)] = Field(200, description="HTTP status.")
    headers: Env = Field((), description="Its fields.")
    body: str = Field("", description="Its text.")


class Ignored(Model):
    """Requests that neither wake a service nor keep it awake; any of these is enough."""

    user_agents: Texts = Field((), description='Parts of User-Agent: "UptimeRobot", any case.')
    paths: Texts = Field((), description='Beginnings of paths: "/healthz".')
    networks: Networks = Field((), description="Clients' networks: 10.0.0.0/8.")
    methods: Texts = Field((), description="Methods: HEAD.")
    answer: StaticAnswer = Field(
        StaticAnswer(), description="While no replica is awake; else the replica answers."
    )


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
