"""A small web application as it would run in a container: configuration, a secret, two probes.

GET /        a greeting, and whether the secret was there (never the secret itself)
GET /ready   readiness: 200 when this replica should get requests
GET /live    liveness: anything but 200 gets it replaced
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

GREETING = os.environ.get("GREETING", "Hello")
TOKEN = Path("/run/secrets/api-token")


class Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        match self.path:
            case "/ready" | "/live":
                self._answer(200, "ok\n")
            case "/":
                state = "in place" if TOKEN.exists() else "missing"
                self._answer(200, f"{GREETING} from {os.uname().nodename}; the token is {state}.\n")
            case _:
                self._answer(404, "not found\n")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stop(number: int, frame: FrameType | None) -> None:
    # Tidegate has drained this replica before it sends SIGTERM: nobody is waiting any more.
    sys.exit(0)


if __name__ == "__main__":
    # The first process of a container has no default action for SIGTERM: without this line it
    # would be ignored, and each stop would take the whole `stop_grace`.
    signal.signal(signal.SIGTERM, stop)
    ThreadingHTTPServer(("0.0.0.0", 8080), Application).serve_forever()
