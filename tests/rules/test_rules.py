"""Every rule of HTTP has its test, on each side where it holds, and the page says so."""

import subprocess
import sys

import pytest

from tests.rules.evidence import ROOT, Evidently
from tests.rules.law import LAW, RULES

PAGE = ROOT / "docs/reference/http-rules.md"


@pytest.fixture(scope="module")
def written() -> subprocess.CompletedProcess[str]:
    """In a process of its own: the collection of this one may be a part of the tests."""
    return subprocess.run(
        [sys.executable, "-m", "tests.rules"],
        cwd=ROOT, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip


def test_every_rule_has_a_test_on_each_side(written: subprocess.CompletedProcess[str]) -> None:
    assert (written.stderr, written.returncode) == ("", 0)


def test_the_page_is_up_to_date(written: subprocess.CompletedProcess[str]) -> None:
    assert PAGE.read_text() == written.stdout, (
        "python -m tests.rules > docs/reference/http-rules.md"
    )


def test_no_rule_is_listed_twice() -> None:
    assert len(RULES) == sum(len(rules) for rules in LAW.values())


def test_a_rule_without_a_test_is_told() -> None:
    complaints = Evidently().complaints()
    told = [one for one in complaints if one.startswith("no test at the client's side")]
    assert len(told) == sum("client" in one.sides and not one.elsewhere for one in RULES.values())
    assert any("no such test: tests/gateway/test_tls.py::" in one for one in complaints)
