"""Replicas of known behaviour as plain processes: this Python, with little to load."""

import sys
from collections.abc import Sequence

from cluster.workload import Workload

_SERVER = """
import signal, socket, sys
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        client, _ = server.accept()
        client.settimeout(1)
        try:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        except OSError:
            pass
        client.close()
"""
_TALKER = """
import itertools, sys, time
for number in (1, 2, 3):
    print("out", number, flush=True)
    print("err", number, file=sys.stderr, flush=True)
for number in itertools.count(1):
    print("beat", number, flush=True)
    time.sleep(0.05)
"""


def python(source: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", source, *arguments)


def workload(*command: str, service: str = "web", **env: str) -> Workload:
    return Workload(service, "r1", command=command, env=tuple(env.items()))


class ProcessWorkloads:
    """As the contract suite asks for them."""

    def server(self) -> Workload:
        return workload(*python(_SERVER, "$PORT"))

    def stubborn(self) -> Workload:
        return workload(*python(_SERVER, "${PORT}", "stubborn"))

    def exits(self) -> Workload:
        return workload("/bin/sh", "-c", "exit 3", service="job")

    def talker(self) -> Workload:
        return workload(*python(_TALKER), service="talk")

    def burner(self) -> Workload:
        return workload("/bin/sh", "-c", "(while :; do :; done) & wait", service="burn")

    def broken(self) -> Workload:
        return workload("no-such-program-anywhere")

    def exit_with(self, code: int) -> Sequence[str]:
        return ("/bin/sh", "-c", f"exit {code}")

    def lingering(self) -> Sequence[str]:
        return ("/bin/sleep", "100")
