"""The project's own Python files: what the rules of this folder are checked on.

Each file is parsed once, however many rules look at it; only the facts are kept, for a worker that
held all the trees would collect its garbage slowly.
"""

import ast
import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hatch_build import FLAT_PACKAGES

ROOT = Path(__file__).parents[2]
PRODUCT = ("tidegate", *FLAT_PACKAGES)
EVERYTHING = (*PRODUCT, "tests", "loadtests", "examples")


@dataclass(frozen=True, slots=True)
class Function:
    """`lines` are those from the first to the last statement, without the docstring."""

    name: str
    lineno: int
    lines: int


@dataclass(frozen=True, slots=True)
class Source:
    """`name` is the path from the project's folder, `module` what an import statement says,
    `classes` their names."""

    name: str
    module: str
    lines: int
    is_empty: bool
    docstring: str
    functions: tuple[Function, ...]
    classes: tuple[str, ...]


def sources(folders: tuple[str, ...]) -> list[Source]:
    return [_parsed(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@functools.cache
def _parsed(path: Path) -> Source:
    name = path.relative_to(ROOT)
    text = path.read_text()
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    return Source(
        name=str(name),
        module=".".join(name.with_suffix("").parts).removesuffix(".__init__"),
        lines=text.count("\n"),
        is_empty=not text.strip(),
        docstring=ast.get_docstring(tree) or "",
        functions=tuple(
            Function(node.name, node.lineno, _body_lines(node))
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ),
        classes=tuple(node.name for node in nodes if isinstance(node, ast.ClassDef)),
    )


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
