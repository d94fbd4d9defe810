"""Starts one of the quickstart's applications as Tidegate would: with a port, and then a signal."""

import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.held_ports import held_port

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
DEADLINE = 45.0


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[bytes]
    port: int
    seconds_to_listen: float
    client: http.client.HTTPConnection

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)


@contextlib.contextmanager
def running(name: str) -> Iterator[Running]:
    """The application once its port is open; killed at the end if it still runs."""
    with held_port() as port:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, str(QUICKSTART / f"{name}.py"), str(port)])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            yield Running(process, port, _seconds_until_open(process, port, began), client)
        finally:
            client.close()
            process.kill()
            process.wait(DEADLINE)


def _seconds_until_open(process: subprocess.Popen[bytes], port: int, began: float) -> float:
    while (waited := time.perf_counter() - began) < DEADLINE:
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return waited
        time.sleep(0.005)
    raise AssertionError(f"port {port} was not open after {DEADLINE:g} s")
