"""Which tests prove which rules, from the marks of the collected tests."""

import contextlib
import io
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.rules.law import BOTH, RULES

FOLDERS = ("tests/gateway", "tests/e2e")
ROOT = Path(__file__).parents[2]

# By rule and side: names of tests, without the loop that they run on.
Evidence = dict[tuple[str, str], set[str]]


class Evidently:
    """A plugin that keeps what the marks of collected tests say."""

    def __init__(self) -> None:
        self.found: Evidence = defaultdict(set)
        self.mistakes: list[str] = []
        self.names: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            self.names.add(item.nodeid.partition("[")[0])
            for mark in item.iter_markers("rule"):
                self._note(item, mark)

    def _note(self, item: pytest.Item, mark: pytest.Mark) -> None:
        try:
            (key,) = mark.args
            side = mark.kwargs["side"]
            rule = RULES[key]
        except (KeyError, ValueError):
            self.mistakes.append(f"{item.nodeid}: no such rule: {mark.args} {mark.kwargs}")
            return
        wanted = BOTH if side == "both" else (side,)
        if not set(wanted) <= set(rule.sides):
            self.mistakes.append(f"{item.nodeid}: {key} has no such side: {side}")
        for one in wanted:
            self.found[key, one].add(_name(item, mark))

    def complaints(self) -> list[str]:
        """What is wrong: marks that name no rule, and rules without evidence."""
        missing = [
            f"no test at the {side}'s side: {rule.key}"
            for rule in RULES.values()
            for side in rule.sides
            if not self.found.get((rule.key, side)) and not rule.elsewhere
        ]
        lost = [
            f"{rule.key}: no such test: {test}"
            for rule in RULES.values()
            for test in rule.elsewhere
            if test not in self.names
        ]
        return sorted(set(self.mistakes)) + missing + lost


def _name(item: pytest.Item, mark: pytest.Mark) -> str:
    """With its parameters when the mark belongs to them, not to the whole test."""
    name, _, parameters = item.nodeid.partition("[")
    callspec = getattr(item, "callspec", None)
    if callspec is None or mark not in callspec.marks:
        return name
    return f"{name}[{re.sub('^(asyncio|uvloop)-', '', parameters)}"


def collect() -> Evidently:
    """Collects the tests, running none."""
    evidently = Evidently()
    folders = [str(ROOT / folder) for folder in FOLDERS]
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    with contextlib.redirect_stdout(io.StringIO()) as told:
        code = pytest.main([*options, f"--rootdir={ROOT}", *folders], plugins=[evidently])
    assert code == 0, told.getvalue()
    return evidently
