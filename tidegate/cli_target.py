"""Which running Tidegate a command talks to, and with which token.

`--admin`, then the configuration file, then the usual place. The file is only looked into for its
`admin` block: a broken service in it must not keep an operator from asking what runs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import location

DEFAULT = "http://127.0.0.1:9900"
# A mapping at the top of the file, up to the next line that starts at its edge.
_BLOCK = re.compile(r"^admin[ \t]*:.*?(?=^[^\s#]|\Z)", re.MULTILINE | re.DOTALL)
_EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


class WrongUse(Exception):
    """What was asked cannot be; the text says why. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    token_file: Path | None = None

    def token(self) -> str | None:
        """Raises WrongUse when the file cannot be used."""
        if self.token_file is None:
            return None
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUse(f"cannot read the token file {self.token_file}: {error}") from error


def find_target(
    admin: str | None,
    token_file: Path | None,
    config: str | None,
    environ: Mapping[str, str],
) -> Target:
    """Raises WrongUse when a file that was named is not there."""
    # A token of the file's is for the Tidegate of the file: it is not sent to any other.
    if admin is not None:
        return Target(admin, token_file)
    file = location.find(config, environ)
    if not file.is_file():
        if config is not None:
            raise WrongUse(f"{file}: there is no such file")
        return Target(DEFAULT, token_file)
    written = _admin_block(file)
    token = written.get("token_file")
    if token_file is None and isinstance(token, str):
        token_file = file.absolute().parent / Path(token).expanduser()
    listen = written.get("listen")
    return Target(url_of(listen) if isinstance(listen, str) else DEFAULT, token_file)


def url_of(listen: str) -> str:
    """Where to reach what listens there from this machine."""
    host, _, port = listen.rpartition(":")
    return f"http://{_EVERY_ADDRESS.get(host, host)}:{port}"


def _admin_block(file: Path) -> dict[str, Any]:
    import yaml

    try:
        block = _BLOCK.search(file.read_text(encoding="utf-8-sig"))
        written = yaml.safe_load(block[0])["admin"] if block else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return written if isinstance(written, dict) else {}
