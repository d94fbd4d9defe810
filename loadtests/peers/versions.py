"""Which release of each program was measured."""

import re
import subprocess

from loadtests.peers.install import WHEELS, program
from tidegate import __version__

ASK = {
    "nginx": "-v",
    "haproxy": "-v",
    "envoy": "--version",
    "traefik": "version",
    "caddy": "version",
}
RELEASE = re.compile(r"\d+\.\d+\.\d+")


def version(name: str) -> str:
    """As the program itself says, or "unknown"."""
    if name == "tidegate":
        return __version__
    command = [program(name) if name in WHEELS else name, ASK[name]]
    told = subprocess.run(command, capture_output=True, text=True)
    found = RELEASE.search(told.stdout + told.stderr)
    return found[0] if found else "unknown"
