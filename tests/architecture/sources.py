"""The project's own Python files, parsed: what the rules of this folder are checked on."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hatch_build import FLAT_PACKAGES

ROOT = Path(__file__).parents[2]
PRODUCT = ("tidegate", *FLAT_PACKAGES)
EVERYTHING = (*PRODUCT, "tests", "loadtests", "examples")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """`name` is the path from the project's folder, `module` what an import statement says."""

    name: str
    module: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


def sources(folders: tuple[str, ...]) -> list[Source]:
    return [_parsed(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def _parsed(path: Path) -> Source:
    name = path.relative_to(ROOT)
    text = path.read_text()
    module = ".".join(name.with_suffix("").parts).removesuffix(".__init__")
    return Source(str(name), module, text, ast.parse(text))


def body_lines(function: Function) -> int:
    """Lines from the first to the last statement, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
