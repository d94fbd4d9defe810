"""The floors, the drivers' door and the purity of pure files, as pyproject.toml states them.

The contracts are import-linter's. Here they are run, the list of pure files is held against the
files that call themselves pure, and each contract is seen to fail on a tree that breaks it.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import PRODUCT, ROOT, pyproject, sources


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def contract(kind: str) -> dict[str, Any]:
    tool: Any = pyproject()["tool"]
    (found,) = (one for one in tool["importlinter"]["contracts"] if one["type"] == kind)
    return dict(found)


def test_all_contracts_are_kept() -> None:
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_pure_files_are_those_that_say_so() -> None:
    """A module docstring with the word "Pure" is a promise; pyproject.toml makes it checked."""
    say_so = {source.module for source in sources(PRODUCT) if _says_pure(source.docstring)}
    assert say_so, "no file calls itself pure"
    assert sorted(contract("forbidden")["source_modules"]) == sorted(say_so)


def _says_pure(docstring: str) -> bool:
    return re.search(r"\bPure\b", docstring) is not None


def test_every_driver_is_behind_the_door() -> None:
    drivers = {
        source.module
        for source in sources(("runtimes",))
        if any(name.endswith("Runtime") for name in source.classes)
    }
    assert "runtimes.docker" in drivers
    assert drivers <= set(contract("protected")["protected_modules"])


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        pytest.param("autoscaler", "import gateway", "floors", id="sideways"),
        pytest.param("config", "import cluster", "floors", id="upwards"),
        pytest.param("admin", "import runtimes.docker", "drivers", id="past the driver's door"),
        pytest.param("cluster/lifecycle.py", "import time", "pure", id="a clock in a pure file"),
    ],
)
def test_a_breach_is_reported(tmp_path: Path, file: str, line: str, broken: str) -> None:
    for package in PRODUCT:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=_not_python)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / file
    target = target / "__init__.py" if target.is_dir() else target
    target.write_text(f"{target.read_text()}\n{line}\n")
    linted = lint_imports(tmp_path)
    assert linted.returncode == 1, linted.stdout
    assert re.search(rf"{broken}.* BROKEN", linted.stdout)


def _not_python(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if "." in name and not name.endswith(".py")]
