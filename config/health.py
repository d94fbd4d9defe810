"""When a replica may serve, when it may not, and when it is given up. Frozen."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from config.addresses import request_target
from config.fields import Command, Count, Flag, Model, Port, Times
from config.units import Positive, Ratio, Window, at_least, at_most, format_ratio

KINDS = ("tcp", "http", "exec")

_Target = Annotated[str, AfterValidator(request_target)]
_TCP = "The port accepts a connection."
_HTTP = "A GET of this path is answered with 200 to 399."
_EXEC = "This command ends with 0 inside the replica."
_PORT = "Another port than the one that serves; for tcp and http."


class StartupProbe(Model):
    """When a new replica may serve; exactly one of tcp (the default), http, exec."""

    tcp: Flag = Field(False, description=_TCP)
    http: _Target | None = Field(None, description=_HTTP)
    exec: Command | None = Field(None, description=_EXEC)
    port: Port | None = Field(None, description=_PORT)
    every: Positive = Field(0.05, description="Pause between two tries.")
    timeout: Positive = Field(1.0, description="A try without an answer has failed.")
    deadline: Positive = Field(60.0, description="A replica not ready by then has failed.")

    @model_validator(mode="before")
    @classmethod
    def _tcp_unless_said(cls, value: Any) -> Any:
        if isinstance(value, dict) and not any(kind in value for kind in KINDS):
            return {"tcp": True, **value}
        return value


class Probe(Model):
    """A repeated check of a ready replica; exactly one of tcp, http, exec."""

    tcp: Flag = Field(False, description=_TCP)
    http: _Target | None = Field(None, description=_HTTP)
    exec: Command | None = Field(None, description=_EXEC)
    port: Port | None = Field(None, description=_PORT)
    every: Positive = Field(10.0, description="Pause between two probes.")
    timeout: Positive = Field(1.0, description="A probe without an answer has failed.")
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


class Health(Model):
    """The probes of a service."""

    startup: StartupProbe = Field(StartupProbe(tcp=True), description="May it serve yet?")
    readiness: Probe | None = Field(
        None,
        description="May it serve now? A service of endpoints has {tcp: true, every: 5s}.",
    )
    liveness: Probe | None = Field(None, description="Does it live? If not, it is replaced.")
    outliers: Outliers = Field(Outliers(), description="Ejection by what real traffic meets.")


ENDPOINTS_READINESS = Probe(tcp=True, every=5.0)
