"""A Tidegate to measure: started from a file, ready when its admin API says so, then stopped."""

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

READY_WITHIN = 60.0
STOPPED_WITHIN = 60.0


class NotReached(Exception):
    """A condition was not met before its deadline."""


@contextlib.contextmanager
def running(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Tidegate on this file from its very start, its output in `log`; stopped at the end."""
    command = [sys.executable, "-m", "tidegate", "run", "--config", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            _stop(process)


@contextlib.contextmanager
def tidegate(config: Path, admin: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The same once it is ready. Raises NotReached when it does not come up."""
    with running(config, log) as process:
        wait_until(lambda: _is_ready(admin, process, log), "Tidegate is ready", READY_WITHIN)
        yield process


def _is_ready(admin: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise NotReached(f"Tidegate ended with {process.returncode}:\n{log.read_text()}")
    return answers(f"{admin}/readyz")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Whether a GET of this address is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ones, because they are all held until the last is found."""
    with contextlib.ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def states(admin: str, service: str) -> list[str]:
    """The states of a service's replicas, ended ones left out."""
    replicas = get_json(f"{admin}/v1/services/{service}")["replicas"]
    return [one["state"] for one in replicas if one["state"] not in ("stopped", "failed")]


def by_service(admin: str, metric: str) -> dict[str, float]:
    """The samples of one metric, summed for each service."""
    with urllib.request.urlopen(f"{admin}/metrics", timeout=10) as response:
        text = response.read().decode()
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == metric:
                service = sample.labels.get("service", "")
                sums[service] = sums.get(service, 0.0) + sample.value
    return sums


def wait_until(condition: Callable[[], bool], what: str, within: float) -> None:
    """Look every 10 ms. Raises NotReached after `within` seconds."""
    deadline = time.perf_counter() + within
    while not condition():
        if time.perf_counter() > deadline:
            raise NotReached(f"waited {within:g} s in vain until {what}")
        time.sleep(0.01)
