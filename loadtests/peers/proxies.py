"""The proxies: how each one is started on its core, with one worker or thread."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.peers.ground import Ground
from loadtests.peers.install import program
from loadtests.peers.machine import PROXY_CORE, pinned, until_up
from loadtests.system import free_ports

ONE_THREAD = {"GOMAXPROCS": "1"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A proxy that answers: where, and under which process."""

    name: str
    pid: int
    port: int
    tls: int | None


@dataclass(frozen=True, slots=True)
class Proxy:
    """How one is started: its configuration files, the first of which the command is told."""

    name: str
    templates: tuple[str, ...]
    command: Callable[[Path], list[str]]
    ends_tls: bool = True


def _nginx(config: Path) -> list[str]:
    return ["nginx", "-c", str(config), "-p", str(config.parent)]


def _haproxy(config: Path) -> list[str]:
    return ["haproxy", "-db", "-f", str(config)]


def _tidegate(config: Path) -> list[str]:
    return [sys.executable, "-m", "tidegate", "run", "--config", str(config)]


def _envoy(config: Path) -> list[str]:
    path = ["-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    return [program("envoy"), *path]


def _traefik(config: Path) -> list[str]:
    return [program("traefik"), f"--configFile={config}"]


def _caddy(config: Path) -> list[str]:
    return [program("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]


PROXIES = {
    proxy.name: proxy
    for proxy in (
        Proxy("nginx", ("nginx.conf",), _nginx),
        Proxy("haproxy", ("haproxy.cfg",), _haproxy),
        Proxy("envoy", ("envoy.yaml",), _envoy),
        Proxy("traefik", ("traefik.yaml", "traefik-routes.yaml"), _traefik),
        Proxy("caddy", ("Caddyfile",), _caddy),
        Proxy("tidegate", ("tidegate.yaml",), _tidegate, ends_tls=False),
    )
}


@contextlib.contextmanager
def standing(proxy: Proxy, ground: Ground) -> Iterator[Standing]:
    """The proxy from its start until it is stopped. Raises NotReached when it does not answer."""
    port, tls, admin = free_ports(3)
    files = [ground.fill(name, PORT=port, TLS=tls, ADMIN=admin) for name in proxy.templates]
    log = ground.folder / f"{proxy.name}.out"
    with pinned(proxy.command(files[0]), PROXY_CORE, log, ONE_THREAD) as process:
        until_up(process, f"http://127.0.0.1:{port}/", log)
        yield Standing(proxy.name, process.pid, port, tls if proxy.ends_tls else None)
