"""An open loop: requests at random moments of a fixed rate, whatever the answers do.

What a request waits for is counted from the moment it was due, so that a proxy which stalls is not
spared the requests that would have come meanwhile (wrk sends none then). Runs as a program of its
own on the core of the load: `python -m loadtests.peers.paced PORT RATE SECONDS`.
"""

import json
import random
import select
import socket
import subprocess
import sys
import time
from collections import deque

from loadtests.peers.machine import LOAD_CORE, on_core
from loadtests.peers.wrk import Loaded
from loadtests.report import percentile

CONNECTIONS = 64
PATIENCE = 5.0
HEAD = "GET /?n={n} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: {n}\r\n\r\n"
LAST_BYTES = b"thirty-four bytes for each client\n"


class Pace:
    """Connections that are free or wait for an answer, and when each request was due."""

    def __init__(self, port: int) -> None:
        address = ("127.0.0.1", port)
        self._free = deque(socket.create_connection(address) for _ in range(CONNECTIONS))
        self._busy: dict[socket.socket, tuple[float, bytes]] = {}
        self.waited: list[float] = []
        self.failed = 0

    def run(self, due: deque[float]) -> None:
        """Send what is due and collect the answers, until all came or patience ends."""
        stop = due[-1] + PATIENCE
        while (due or self._busy) and time.perf_counter() < stop:
            self._send(due)
            pause = max(0.0, due[0] - time.perf_counter()) if due and self._free else 0.1
            for ready in select.select([*self._busy], [], [], pause)[0]:
                self._receive(ready)
        self.failed += len(due) + len(self._busy)

    def close(self) -> None:
        for connection in (*self._free, *self._busy):
            connection.close()

    def _send(self, due: deque[float]) -> None:
        while due and self._free and due[0] <= time.perf_counter():
            connection = self._free.popleft()
            self._busy[connection] = (due.popleft(), b"")
            connection.sendall(HEAD.format(n=len(due)).encode())

    def _receive(self, connection: socket.socket) -> None:
        since, had = self._busy[connection]
        got = connection.recv(65_536)
        answer = had + got
        if got and not answer.endswith(LAST_BYTES):
            self._busy[connection] = (since, answer)
            return
        del self._busy[connection]
        if answer.startswith(b"HTTP/1.1 200 ") and got:
            self.waited.append(time.perf_counter() - since)
            self._free.append(connection)
        else:
            self.failed += 1
            self._free.append(socket.create_connection(connection.getpeername()))


def moments(rate: float, seconds: float, chance: random.Random) -> deque[float]:
    """Arrivals without memory (Poisson), from now on."""
    now = time.perf_counter() + 0.1
    end = now + seconds
    found: deque[float] = deque()
    while now < end:
        found.append(now)
        now += chance.expovariate(rate)
    return found


def paced(port: int, rate: float, seconds: float) -> Loaded:
    """Raises ChildProcessError."""
    command = [sys.executable, "-m", __name__, str(port), str(rate), str(seconds)]
    done = subprocess.run(on_core(LOAD_CORE, command), capture_output=True, text=True)
    if done.returncode:
        raise ChildProcessError(done.stderr)
    return Loaded(**json.loads(done.stdout))


def main() -> None:
    port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    pace = Pace(port)
    due = moments(rate, seconds, random.Random(1))
    began = due[0]
    pace.run(due)
    pace.close()
    told = {
        "requests": len(pace.waited),
        "seconds": time.perf_counter() - began,
        "p50": percentile(pace.waited, 0.5) * 1e6,
        "p99": percentile(pace.waited, 0.99) * 1e6,
        "failed": pace.failed,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
