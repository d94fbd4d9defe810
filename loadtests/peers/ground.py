"""What all proxies share: a folder, an origin, a certificate; and how their files are filled in."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.peers.machine import LOAD_CORE, pinned, until_up
from loadtests.system import free_port

CONFIGS = Path(__file__).with_name("configs")
MEBIBYTE = 1 << 20
FILES = {"1k": 1024, "10m": 10 * MEBIBYTE, "100m": 100 * MEBIBYTE}


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the proxies of one run stand."""

    folder: Path
    origin: int
    certificate: Path
    key: Path
    bundle: Path

    def fill(self, template: str, **more: object) -> Path:
        """Write a file of `configs/` into the folder with its @NAMES@ replaced."""
        values = {"FOLDER": self.folder, "ORIGIN": self.origin, "CERTIFICATE": self.certificate}
        values |= {"KEY": self.key, "BUNDLE": self.bundle, **more}
        file = self.folder / template
        file.write_text(_filled((CONFIGS / template).read_text(), values))
        return file


def _filled(text: str, values: dict[str, object]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


@contextlib.contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """An nginx as origin on the core of the load. Raises NotReached."""
    files = folder / "public" / "files"
    files.mkdir(parents=True)
    for name, size in FILES.items():
        with (files / name).open("wb") as file:
            file.truncate(size)
    made = Ground(folder, free_port(), *_certificate(folder))
    config = made.fill("origin.conf", PORT=made.origin, FILES=folder / "public")
    log = folder / "origin.out"
    with pinned(["nginx", "-c", str(config), "-p", str(folder)], LOAD_CORE, log) as process:
        until_up(process, f"http://127.0.0.1:{made.origin}/", log)
        yield made


def _certificate(folder: Path) -> tuple[Path, Path, Path]:
    """A self-signed one for 127.0.0.1 with an elliptic key, its key, and both in one file."""
    certificate, key, bundle = (folder / name for name in ("tls.crt", "tls.key", "tls.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    bundle.write_text(certificate.read_text() + key.read_text())
    return certificate, key, bundle
