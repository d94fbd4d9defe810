"""Every example's configuration is one that Tidegate accepts, and says what its README says."""

import shutil
from pathlib import Path

import pytest

from config.loader import load

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*/tidegate.yaml"))


def as_a_user_would(file: Path, folder: Path) -> Path:
    """A copy of the example's folder, with each `NAME.example` also there under its real name."""
    copy = folder / file.parent.name
    shutil.copytree(file.parent, copy)
    for template in copy.rglob("*.example"):
        shutil.copy(template, template.with_suffix(""))
    return copy / file.name


@pytest.mark.parametrize("file", FILES, ids=[file.parent.name for file in FILES])
def test_an_example_is_a_valid_configuration_and_wise(file: Path, tmp_path: Path) -> None:
    settings = load(as_a_user_would(file, tmp_path))
    assert settings.services
    assert settings.warnings == ()


def test_the_quickstart_runs_the_three_applications_beside_it() -> None:
    settings = load(EXAMPLES / "quickstart" / "tidegate.yaml")
    assert settings.gateway.listen == ("127.0.0.1:8080",)
    for name in ("hello", "slow", "echo"):
        python, program, port = settings.services[name].command
        assert (EXAMPLES / "quickstart" / program).is_file()
        assert (python, port) == ("python3", "$PORT")


def test_the_load_balancer_starts_nothing() -> None:
    services = load(EXAMPLES / "load-balancer" / "tidegate.yaml").services.values()
    assert all(service.endpoints and not service.command for service in services)
