"""The whole file: gateway, admin, runtime, defaults and services. Frozen.

`File` is what is written, `Settings` what it means once services have their defaults.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from config.addresses import OWNER
from config.fields import (
    Count,
    Flag,
    Listen,
    Listens,
    Model,
    NetworkName,
    Networks,
    Redirects,
    Text,
)
from config.service import Service
from config.units import (
    MEMORY_SCHEMA,
    Duration,
    Positive,
    Ratio,
    Size,
    at_most,
    format_ratio,
    format_size,
    parse_ratio,
    parse_size,
)
from config.wording import shown

AccessLog = Literal["off", "json", "combined"]
RUNTIMES = ("process", "docker")


class Limits(Model):
    """What clients may ask of the gateway, each one and all together; 0 is no limit."""

    headers: Size = Field(64 * 1024, description="Bytes of all header fields; above: 431.")
    header_count: Count = Field(100, ge=0, description="Header fields; above: 431.")
    url: Size = Field(8 * 1024, description="Bytes of the request target; above: 414.")
    body: Size = Field(0, description="Bytes of a request body; above: 413.")
    header_timeout: Duration = Field(
        10.0,
        description="Until the header is complete, else 408; before it, for the TLS handshake.",
    )
    idle_timeout: Duration = Field(75.0, description="Between two requests of a connection.")
    connections: Count = Field(10_000, ge=0, description="Clients at once.")
    connections_per_client: Count = Field(
        0, ge=0, description="Of one address at once; trusted_proxies may have more."
    )
    held: Annotated[Count, Field(ge=0)] | None = Field(
        None,
        description="Requests that wait for replicas of all services together, at most four "
        "fifths of them of one; more are answered with 503. Default: four fifths of `connections`.",
    )

    memory: Annotated[Ratio, at_most(1.0, format_ratio)] = Field(
        0.8,
        description="Of the memory limit that Tidegate's container or unit has, if any: when so "
        "much is used, and a good part of it for clients, new ones are answered with 503 and idle "
        "ones closed; 0% is off.",
    )

    @property
    def most_held(self) -> int:
        """As a number; 0 is no limit."""
        return self.connections * 4 // 5 if self.held is None else self.held


class Certificate(Model):
    """What a TLS listener shows, in PEM form; read again on reload."""

    cert: Text = Field(description="File: the certificate, then those that it was issued by.")
    key: Text = Field(description="File: its private key, not encrypted.")


def _some(certificates: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    if not certificates:
        raise ValueError("must not be empty")
    return certificates


class TlsListener(Model):
    """Where clients come in with HTTPS: TLS 1.2 or newer, then HTTP/1.1."""

    listen: Listen = Field(description='"host:port" or ":port".')
    certificates: Annotated[tuple[Certificate, ...], AfterValidator(_some)] = Field(
        description="Chosen by the name the client asks for, else the first.",
        json_schema_extra={"minItems": 1},
    )
    redirect: Redirects = Field(
        (), description="Where plain HTTP comes in and is sent here with 308, as on :80."
    )


def _count_or_auto(value: object) -> object:
    if value == "auto":
        return value
    if type(value) is not int:
        raise ValueError(f"must be a whole number or auto, got {shown(value)}")
    if value < 0:
        raise ValueError(f"must be at least 0, got {value}")
    return value


Workers = Annotated[Annotated[int, Field(ge=0)] | Literal["auto"], BeforeValidator(_count_or_auto)]


class Gateway(Model):
    """Where clients come in."""

    listen: Listens = Field(("0.0.0.0:8080",), description='"host:port" or ":port", one or many.')
    tls: tuple[TlsListener, ...] = Field((), description="Where clients come in with HTTPS.")
    workers: Workers = Field(
        1, description="Gateway processes; auto is one per core, 0 inside the control process."
    )
    trusted_proxies: Networks = Field(
        (), description="CIDRs of proxies whose X-Forwarded-* are believed."
    )
    limits: Limits = Field(Limits(), description="What clients may ask, each and all together.")
    access_log: AccessLog = Field("off", description="One line for each request.")


class Admin(Model):
    """Where operators and `tidegate status` come in."""

    listen: Listen = Field("127.0.0.1:9900", description="Not public by default.")
    token_file: Text | None = Field(
        None, description="A bearer token; needed when listen is not on loopback."
    )


class Docker(Model):
    """Where the engine is and how its containers are reached."""

    url: Text | None = Field(None, description="Default: DOCKER_HOST, or the local socket.")
    network: NetworkName | None = Field(None, description="The network that replicas join.")
    publish: Flag = Field(
        False,
        description="Reach replicas through ports of the engine's host instead of their own "
        "addresses: for an engine in a virtual machine or far away.",
    )


class Runtime(Model):
    """What runs replicas: process, docker, or {docker: {...}}."""

    docker: Docker | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and list(value) in ([], ["docker"]):
            return value
        if value == "docker":
            return {"docker": {}}
        if value == "process":
            return {}
        raise ValueError(f"must be process, docker or {{docker: {{...}}}}, got {shown(value)}")


def _memory(value: object) -> object:
    """A size, or a ratio of what the machine has."""
    if value is None or type(value) is float:
        return value
    if isinstance(value, str) and value.strip().endswith("%"):
        return parse_ratio(value)
    try:
        return parse_size(value)
    except ValueError:
        wrong = f"must be a size such as 6GiB or a ratio such as 80%, got {shown(value)}"
        raise ValueError(wrong) from None


def _some_memory(value: float | int | None) -> float | int | None:
    if value is not None and value <= 0:
        raise ValueError("must be more than 0")
    if isinstance(value, float) and value > 1.0:
        raise ValueError(f"must be at most 100%, got {format_ratio(value)}")
    return value


Memory = Annotated[
    float | int | None,
    BeforeValidator(_memory),
    AfterValidator(_some_memory),
    PlainSerializer(lambda value: format_ratio(value) if isinstance(value, float) else value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": MEMORY_SCHEMA},
                {"type": "integer", "minimum": 1},
                {"type": "null"},
            ]
        }
    ),
]


class Host(Model):
    """What replicas may ask of the machine that they run on, all services together."""

    starts: Workers = Field(
        "auto",
        description="Replicas that may be started at once; auto is four per core and at least 8, "
        "0 is no limit.",
    )
    memory: Memory = Field(
        None,
        description="Memory for all replicas, as in 6GiB or 80% of what the machine has. What does "
        "not fit is not started: idle services are put to sleep for it. null is no limit.",
    )


def _room(size: int) -> int:
    """For a day or so of one busy service."""
    if size < 1024 * 1024:
        raise ValueError(f"must be at least 1MiB, got {format_size(size)}")
    return size


class Recording(Model):
    """What is kept of services with `record: true`, in recording.sqlite in the state folder."""

    keep: Positive = Field(168.0 * 3600, description="What is older is deleted.")
    size: Annotated[Size, AfterValidator(_room)] = Field(
        200 * 1024 * 1024,
        description="Bytes on disk, at least 1MiB. When it is full, the oldest goes: single "
        "seconds before minutes.",
    )


def _owner(name: str) -> str:
    if not OWNER.fullmatch(name):
        raise ValueError(
            f'must be up to 63 of a-z 0-9 . _ - (first and last a-z 0-9), got "{name}"'
        )
    return name


class File(Model):
    """The file as written. Services are checked one by one, each with the defaults under it."""

    owner: Annotated[str, AfterValidator(_owner)] | None = Field(
        None,
        description="Marks what is ours on a shared engine. "
        "Default: the folder's name and a short hash of the file's path.",
    )
    state_dir: Text | None = Field(
        None,
        description="Default: ~/.local/state/tidegate/<owner> (or in XDG_STATE_HOME); as a unit "
        "of systemd with a StateDirectory: <owner> in that.",
    )
    gateway: Gateway = Field(Gateway(), description="Where clients come in.")
    admin: Admin = Field(Admin(), description="Where operators come in.")
    orphan_timeout: Duration = Field(
        60.0,
        description="When Tidegate is killed: how long its gateway processes and local replicas "
        "go on and wait for the next Tidegate; 0 ends them at once.",
    )
    runtime: Runtime = Field(Runtime(), description="What runs replicas.")
    host: Host = Field(Host(), description="What replicas may ask of the machine.")
    recording: Recording = Field(
        Recording(), description="How much is kept of services with `record: true`."
    )
    defaults: dict[str, Any] = Field({}, description="Any key of a service, for all of them.")
    services: dict[str, Any] = Field({}, description="What is routed to, by name.")


class Settings(Model):
    """A checked file. `owner` marks what is ours on a shared engine.

    `warnings` are lines about what is allowed but unwise.
    """

    owner: str
    state_dir: str
    gateway: Gateway = Gateway()
    admin: Admin = Admin()
    orphan_timeout: Duration = 60.0
    runtime: str = "process"
    docker: Docker = Docker()
    host: Host = Host()
    recording: Recording = Recording()
    services: dict[str, Service]
    warnings: tuple[str, ...] = Field((), exclude=True)
