"""When a replica may serve, when it may not, and when it is given up. Frozen."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)

from config.addresses import request_target
from config.fields import AsWritten, Command, Count, Flag, Model, Port, Times
from config.probe_fields import Body, Headers, Statuses
from config.units import Positive, Ratio, Window, at_least, at_most, format_ratio
from config.wording import shown

KINDS = ("tcp", "http", "exec", "grpc")
# What means nothing to the other kinds.
OF_HTTP = ("headers", "status", "body")
SUCCESS = ((200, 399),)

_Target = Annotated[str, AfterValidator(request_target)]


def _grpc_service(value: object) -> object:
    named = isinstance(value, str) and value and value.isascii() and value.isprintable()
    if not (isinstance(value, bool) or named):
        raise ValueError(f"must be true, or the name of a gRPC service, got {shown(value)}")
    return value


_Grpc = Annotated[bool | str, BeforeValidator(_grpc_service)]


class Check(AsWritten):
    """How to look, and what to expect."""

    tcp: Flag = Field(False, description="The port accepts a connection.")
    http: _Target | None = Field(
        None, description="A GET of this path is answered as expected; no redirect is followed."
    )
    exec: Command | None = Field(None, description="This command ends with 0 inside the replica.")
    grpc: _Grpc = Field(
        False,
        description="The server's grpc.health.v1.Health says SERVING, without TLS: "
        "true for the server as a whole, or the name of one of its services.",
    )
    port: Port | None = Field(
        None, description="Another port than the one that serves; not for exec."
    )
    headers: Headers = Field((), description="Fields of the HTTP request, also Host.")
    status: Statuses = Field(SUCCESS, description="The statuses of HTTP that pass.")
    body: Body | None = Field(
        None,
        description="What the first 4 KiB of the HTTP body must contain; "
        "between slashes, as in `/^ok$/`, a regular expression.",
    )
    timeout: Positive = Field(1.0, description="A try without an answer has failed.")


class StartupProbe(Check):
    """When a new replica may serve; exactly one of tcp (the default), http, exec, grpc.

    An image with a HEALTHCHECK of its own is asked by that where no probe names any of them.
    """

    every: Positive = Field(0.05, description="Pause between two tries.")
    deadline: Positive = Field(60.0, description="A replica not ready by then has failed.")

    @model_validator(mode="wrap")
    @classmethod
    def _tcp_unless_said(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, dict) or any(kind in value for kind in KINDS):
            return read(value)
        probe = read({"tcp": True, **value})
        # Still to be told apart from what the operator asked for.
        probe.model_fields_set.discard("tcp")
        return probe


class Probe(Check):
    """A repeated check of a ready replica; exactly one of tcp, http, exec, grpc."""

    every: Positive = Field(10.0, description="Pause between two probes.")
    failures: Count = Field(3, ge=1, description="So many failures in a row count.")
    successes: Count = Field(1, ge=1, description="So many successes in a row count.")


class Outliers(Model):
    """Ejection by what real traffic meets: a replica that does worse than its siblings."""

    failures: Count = Field(5, ge=0, description="Failures in a row that eject; 0 turns it off.")
    error_rate: (
        Annotated[Ratio, at_least(0.01, format_ratio), at_most(1.0, format_ratio)] | None
    ) = Field(None, description="Share of failures that ejects, where siblings have clearly less.")
    slow: Times | None = Field(
        None,
        description="So many times its siblings' median time to first byte, and 50ms more, ejects.",
    )
    min_requests: Count = Field(
        20, ge=1, description="error_rate and slow judge a replica by no fewer."
    )
    window: Annotated[Window, at_most(300.0)] = Field(
        10.0, description="The time over which error_rate and slow look."
    )
    eject_for: Positive = Field(
        10.0, description="How long it gets no requests; times the ejections in a row, up to 5m."
    )
    max_ejected: Annotated[Ratio, at_most(1.0, format_ratio)] = Field(
        0.5, description="Share of the replicas that may be ejected at once."
    )

    @property
    def compares(self) -> bool:
        """What gateways tell of each replica is needed."""
        return self.error_rate is not None or self.slow is not None


class Health(AsWritten):
    """The probes of a service."""

    startup: StartupProbe = Field(StartupProbe(), description="May it serve yet?")
    readiness: Probe | None = Field(
        None,
        description="May it serve now? A service of endpoints has {tcp: true, every: 5s}.",
    )
    liveness: Probe | None = Field(
        None, description="Does it live? If not, it is replaced: never most of them at once."
    )
    outliers: Outliers = Field(Outliers(), description="Ejection by what real traffic meets.")

    @property
    def is_left_to_the_image(self) -> bool:
        """No probe was asked for: where the image has a HEALTHCHECK, that one decides."""
        asked = any(kind in self.startup.model_fields_set for kind in KINDS)
        return not asked and self.readiness is None and self.liveness is None


ENDPOINTS_READINESS = Probe(tcp=True, every=5.0)
