"""The proxies: how each one is started on its core, with one worker or thread."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from loadtests.peers.ground import Ground
from loadtests.peers.install import program
from loadtests.peers.machine import PROXY_CORE, pinned, until_up
from loadtests.system import free_ports

ONE_THREAD = {"GOMAXPROCS": "1"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A proxy that answers: where, under which process, and why not over TLS if it does not."""

    name: str
    pid: int
    port: int
    tls: int | None
    why_no_tls: str = ""


@dataclass(frozen=True, slots=True)
class Proxy:
    """How one is started: its configuration files, the first of which the command is told."""

    name: str
    templates: tuple[str, ...]
    command: Callable[[Path], list[str]]
    refuses_tls: Callable[[Path], str] = lambda _: ""


def _nginx(config: Path) -> list[str]:
    return ["nginx", "-c", str(config), "-p", str(config.parent)]


def _haproxy(config: Path) -> list[str]:
    return ["haproxy", "-db", "-f", str(config)]


def _tidegate(config: Path) -> list[str]:
    return [sys.executable, "-m", "tidegate", "run", "--config", str(config)]


def _tidegate_refuses_tls(config: Path) -> str:
    """Ask it; if it does, take the listener for TLS out of the file again."""
    command = [sys.executable, "-m", "tidegate", "check", "--config", str(config)]
    told = subprocess.run(command, capture_output=True, text=True)
    if told.returncode == 0:
        return ""
    document = yaml.safe_load(config.read_text())
    del document["gateway"]["tls"]
    config.write_text(yaml.safe_dump(document))
    return (told.stdout + told.stderr).strip().splitlines()[0].rpartition("/")[2]


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
        Proxy("tidegate", ("tidegate.yaml",), _tidegate, _tidegate_refuses_tls),
    )
}


@contextlib.contextmanager
def standing(proxy: Proxy, ground: Ground) -> Iterator[Standing]:
    """The proxy from its start until it is stopped. Raises NotReached when it does not answer."""
    port, tls, admin = free_ports(3)
    files = [ground.fill(name, PORT=port, TLS=tls, ADMIN=admin) for name in proxy.templates]
    refusal = proxy.refuses_tls(files[0])
    log = ground.folder / f"{proxy.name}.out"
    with pinned(proxy.command(files[0]), PROXY_CORE, log, ONE_THREAD) as process:
        until_up(process, f"http://127.0.0.1:{port}/", log)
        yield Standing(proxy.name, process.pid, port, None if refusal else tls, refusal)
