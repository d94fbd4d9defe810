"""Certificates for tests, made on the spot by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from config.settings import Certificate


@dataclass(frozen=True, slots=True)
class Issued:
    """Signed by itself: a client that trusts `cert` trusts the server."""

    cert: Path
    key: Path

    @property
    def asked(self) -> Certificate:
        """As the configuration names it."""
        return Certificate(cert=str(self.cert), key=str(self.key))


def openssl(*arguments: str | Path) -> str:
    """What it printed."""
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=30, text=True).stdout


def issue(folder: Path, file: str, *names: str, days: int = 2) -> Issued:
    """For these host names; the first is the common name. Replaces what is there at once."""
    made = Issued(folder / f"{file}.pem", folder / f"{file}.key")
    alternatives = ",".join(f"DNS:{name}" for name in names)
    fresh = [one.with_suffix(f"{one.suffix}.new") for one in (made.cert, made.key)]
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", str(days), "-subj", f"/CN={names[0]}"),
        *("-addext", f"subjectAltName={alternatives}", "-out", fresh[0], "-keyout", fresh[1]),
    )
    for new, old in zip(fresh, (made.cert, made.key), strict=True):
        new.replace(old)
    return made
