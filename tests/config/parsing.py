"""A configuration from a few lines of text, for tests."""

from pathlib import Path

import pytest

from config import loader
from config.errors import ConfigError
from config.service import Service
from config.settings import Settings

ENVIRON = {"HOME": "/home/op"}
FILE = Path("/srv/shop/tidegate.yaml")


def parse(text: str, file: Path = FILE) -> Settings:
    return loader.parse(text, file, ENVIRON)


def web(text: str) -> Service:
    """The service of a file in which it is the only one."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return parse(f"services:\n  web:\n{lines}").services["web"]


def said_of(text: str, file: Path = FILE) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, file)
    return str(caught.value)
