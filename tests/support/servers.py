"""A real Redis and a real Prometheus for tests, each a process of ours on a free port.

Where the program is missing, the test is skipped with the reason; with TIDEGATE_REQUIRE_SERVERS=1
it fails. A test module takes the fixtures by importing them.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.held_ports import held_port

DEADLINE = 20.0  # seconds
PASSWORD = "hunter2/%"  # as written in a URL: hunter2%2F%25


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty Redis with a password, for the whole session."""
    folder = tmp_path_factory.mktemp("redis")
    with held_port() as port, running_redis(folder, port) as url:
        yield url


@contextlib.contextmanager
def running_redis(folder: Path, port: int) -> Iterator[str]:
    """Its URL, password included. What it stores is nowhere but in memory."""
    program = _program("redis-server", "redis-server")
    words = [program, "--port", f"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly"]
    words += ["no", "--dir", str(folder), "--requirepass", PASSWORD]
    with _running(words, folder / "log", lambda: _answers_redis(port)):
        yield f"redis://:hunter2%2F%25@127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that scrapes nothing: PromQL makes its own samples."""
    folder = tmp_path_factory.mktemp("prometheus")
    with held_port() as port, _running_prometheus(folder, port) as url:
        yield url


@contextlib.contextmanager
def _running_prometheus(folder: Path, port: int) -> Iterator[str]:
    program = _program("prometheus", "prometheus")
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    words = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with _running(words, folder / "log", lambda: _answers_http(f"{url}/-/ready")):
        yield url


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        refuse = pytest.fail if os.environ.get("TIDEGATE_REQUIRE_SERVERS") == "1" else pytest.skip
        refuse(f"there is no {name}: install Debian's package {package}")
        raise AssertionError
    return found


@contextlib.contextmanager
def _running(words: list[str], log: Path, answers: Callable[[], bool]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(words, cwd=log.parent, stdout=output, stderr=output)
        try:
            deadline = time.time() + DEADLINE
            while not answers():
                if process.poll() is not None or time.time() > deadline:
                    raise AssertionError(f"{words[0]} does not answer:\n{log.read_text()[-2000:]}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(DEADLINE)


def _answers_redis(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as redis:
        redis.sendall(b"PING\r\n")
        return redis.recv(100).startswith((b"+PONG", b"-NOAUTH"))
    return False


def _answers_http(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
        return bool(answer.status == 200)
    return False
