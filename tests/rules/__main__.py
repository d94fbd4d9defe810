"""The reference page of the rules, written from the list and from the tests' marks.

`python -m tests.rules > docs/reference/http-rules.md`; fails when a rule has no test.
"""

import sys
from collections.abc import Iterator

from tests.rules.evidence import Evidence, Evidently, collect
from tests.rules.law import LAW, Rule

_HEAD = """\
# Rules of HTTP

Made by `python -m tests.rules > docs/reference/http-rules.md`; do not edit.

Every rule that the gateway keeps, its source, and the tests that prove it: at the client's side
over what clients send, at the replica's side over what replicas send. A request that breaks a rule
is answered with 400 unless another status is named, never forwarded, and its connection is closed.
A replica that breaks one makes a 502, or a cut when its answer has begun. The source "Tidegate" is
a promise of our own. Words in brackets are cases of a test. The list is `tests/rules/law.py`; a
rule without a test fails the build.
"""


def page(found: Evidence) -> str:
    """The whole page as Markdown."""
    parts = [_HEAD]
    for chapter, rules in LAW.items():
        parts += [f"## {chapter}", "", "| source | rule | side | tests |", "|---|---|---|---|"]
        parts += [row for rule in rules for row in _rows(rule, found)]
        parts.append("")
    return "\n".join(parts)


def _rows(rule: Rule, found: Evidence) -> Iterator[str]:
    name = rule.key.partition(": ")[2]
    words = f"{name}: {rule.words}"
    for side in rule.sides:
        tests = _grouped({*found.get((rule.key, side), ()), *rule.elsewhere})
        yield f"| {rule.source} | {words} | {side} | {'<br>'.join(tests)} |"


def _grouped(tests: set[str]) -> list[str]:
    """`file::name`, with its cases behind it."""
    cases: dict[str, list[str]] = {}
    for test in sorted(tests):
        name, _, case = test.removeprefix("tests/").partition("[")
        cases.setdefault(name, []).extend([case.removesuffix("]")] if case else [])
    return [f"`{name}`{_listed(cases[name])}" for name in cases]


def _listed(cases: list[str]) -> str:
    return f" [{'; '.join(cases)}]".replace("|", "\\|") if cases else ""


def _main() -> int:
    evidently: Evidently = collect()
    sys.stdout.write(page(evidently.found))
    for complaint in (complaints := evidently.complaints()):
        sys.stderr.write(f"{complaint}\n")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(_main())
