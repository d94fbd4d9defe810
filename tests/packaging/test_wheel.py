"""The wheel keeps out of the way of foreign distributions, and they cannot break it.

A distribution named `config` exists on public indexes, and a working directory may hold a
`config.py`. Neither may be imported in place of ours.
"""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from hatch_build import FLAT_PACKAGES

ROOT = Path(__file__).parents[2]
FOREIGN = 'raise ImportError("this is somebody else\'s config")\n'
CONFIG = """
services:
  web:
    command: [python3, -m, http.server, "$PORT"]
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """A fresh environment with our wheel and a foreign `config`, and a folder to run in."""

    environment: Path
    folder: Path

    def tidegate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("tidegate", *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("python", *arguments)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.environment / "bin" / program), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=_bare_environment(), capture_output=True, text=True
        )


def _bare_environment() -> dict[str, str]:
    hidden = ("PYTHONPATH", "TIDEGATE_CONFIG")
    return {name: value for name, value in os.environ.items() if name not in hidden}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("tidegate-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True, with_pip=False)
    site_packages = _site_packages_of(environment)
    _install_foreign_config(site_packages)
    _install(wheel, environment)
    # The dependencies come from the environment of the tests, behind everything installed here.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = tmp_path_factory.mktemp("folder")
    (folder / "config.py").write_text(FOREIGN)
    (folder / "tidegate.yaml").write_text(CONFIG)
    return Installed(environment, folder)


def _site_packages_of(environment: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return environment / "lib" / version / "site-packages"


def _install_foreign_config(site_packages: Path) -> None:
    (site_packages / "config").mkdir()
    (site_packages / "config" / "__init__.py").write_text(FOREIGN)


def _install(wheel: Path, environment: Path) -> None:
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True, capture_output=True)


def test_the_wheel_adds_one_name_to_site_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top_level = {name.split("/")[0] for name in archive.namelist()}
    version = wheel.name.split("-")[1]
    assert top_level == {"tidegate", f"tidegate-{version}.dist-info"}


@pytest.mark.parametrize("package", FLAT_PACKAGES)
def test_the_wheel_carries_every_file_of_a_package(wheel: Path, package: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    sources = {
        path.relative_to(ROOT)
        for path in (ROOT / package).rglob("*")
        # What others compile meanwhile has for a moment a name that ends otherwise than in .pyc.
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources
    assert {f"tidegate/_packages/{path.as_posix()}" for path in sources} <= carried


def test_the_waiting_page_is_found_in_the_wheel(installed: Installed) -> None:
    asked = "import tidegate; from gateway.waiting_page import Waking, page; " + (
        "print(page(Waking('web', 0, 1), '/', date=b'', close=True, minor=1, head=False).decode())"
    )
    printed = installed.python("-c", asked)
    assert "web is starting" in printed.stdout, printed.stderr


def test_the_wheel_carries_nothing_that_was_compiled_here(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]


def test_version_is_told_beside_a_foreign_config(installed: Installed) -> None:
    told = installed.tidegate("--version")
    assert told.returncode == 0, told.stderr
    asked = "import importlib.metadata as m; print(m.version('tidegate'))"
    assert told.stdout.split()[-1] == installed.python("-c", asked).stdout.strip()


def test_a_config_is_checked_beside_a_foreign_config(installed: Installed) -> None:
    checked = installed.tidegate("check")
    assert checked.returncode == 0, checked.stderr


def test_the_foreign_config_is_really_in_the_way(installed: Installed) -> None:
    """Without `import tidegate` first, the name belongs to the other distribution."""
    assert "somebody else's config" in installed.python("-c", "import config").stderr


def test_our_config_comes_from_the_wheel(installed: Installed) -> None:
    printed = installed.python("-c", "import tidegate, config; print(config.__file__)")
    assert "tidegate/_packages/config" in printed.stdout, printed.stderr
    assert printed.stdout.startswith(str(installed.environment))


def test_the_module_runs_as_the_command_does(installed: Installed) -> None:
    ran = installed.python("-m", "tidegate", "check")
    assert ran.returncode == 0, ran.stderr
