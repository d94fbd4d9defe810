"""requirements.lock carries all that pyproject.toml asks for: exact, with hashes, no address."""

import re
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.architecture.sources import ROOT, pyproject

LOCK = (ROOT / "requirements.lock").read_text()
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ;.*)? \\$", re.MULTILINE)


def asked_for() -> list[str]:
    project: Any = pyproject()
    return [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
    ]


def pinned() -> dict[str, list[str]]:
    """All versions of each name: a universal lock may hold several, for different Pythons."""
    versions: dict[str, list[str]] = {}
    for name, version in PINNED.findall(LOCK):
        versions.setdefault(_normal(name), []).append(version)
    return versions


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("text", asked_for())
def test_a_requirement_is_locked_to_versions_that_meet_it(text: str) -> None:
    requirement = Requirement(text)
    versions = pinned().get(_normal(requirement.name), [])
    assert versions, f"run `make lock`: {text} is not in requirements.lock"
    assert all(requirement.specifier.contains(version) for version in versions), (
        f"run `make lock`: {text} is locked to {versions}"
    )


def test_every_locked_version_has_a_hash() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    locked = [entry for entry in entries if not entry.startswith("#")]
    assert locked
    assert [entry for entry in locked if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_address() -> None:
    assert re.findall(r"\S*://\S*|^--(?:index|find|extra)\S*", LOCK, re.MULTILINE) == []
