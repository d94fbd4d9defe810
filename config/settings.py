"""The whole file: gateway, admin, runtime, defaults and services. Frozen."""

from pydantic import BaseModel, ConfigDict, Field

from config.service import Service
from config.units import Duration, Size


class Model(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Model):
    """What one client may ask of the gateway; 0 is no limit."""

    headers: Size = 64 * 1024
    header_count: int = Field(100, ge=0)
    url: Size = 8 * 1024
    body: Size = 0
    header_timeout: Duration = 10.0
    idle_timeout: Duration = 75.0
    connections: int = Field(10_000, ge=0)


class Gateway(Model):
    listen: tuple[str, ...] = ("0.0.0.0:8080",)
    workers: int = Field(1, ge=0)
    trusted_proxies: tuple[str, ...] = ()
    limits: Limits = Limits()
    access_log: str = "off"


class Admin(Model):
    listen: str = "127.0.0.1:9900"
    token_file: str | None = None


class Docker(Model):
    """Where the engine is and which network replicas join."""

    url: str | None = None
    network: str | None = None


class Settings(Model):
    """A checked file. `owner` marks what is ours on a shared engine."""

    owner: str
    state_dir: str
    gateway: Gateway = Gateway()
    admin: Admin = Admin()
    runtime: str = "process"
    docker: Docker = Docker()
    services: dict[str, Service]
