"""The command line in this process, and a control plane that it talks to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served_plane import Served, serving
from tidegate import cli


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


class Said:
    """Runs a command in this process; what it printed is kept."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._capsys.readouterr()
        code = cli.main(arguments)
        self.out, self.err = self._capsys.readouterr()
        return code


@pytest.fixture
def tidegate(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No file and no variable of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("TIDEGATE_CONFIG", "TIDEGATE_ADMIN", "TIDEGATE_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
