"""Small telling files, functions a reader takes in at a glance, names that say something."""

import re
import statistics

import pytest

from tests.architecture.sources import EVERYTHING, PRODUCT, sources

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
MEDIAN_FUNCTION = 8
EMPTY_WORDS = {
    "base",
    "common",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "manager",
    "misc",
    "util",
    "utils",
}


def test_there_is_something_to_check() -> None:
    assert len(sources(PRODUCT)) > len(PRODUCT)


def test_no_file_is_longer_than_a_reader_likes() -> None:
    too_long = {s.name: s.lines for s in sources(EVERYTHING) if s.lines > LONGEST_FILE}
    assert too_long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    too_long = {
        f"{source.name}:{function.lineno} {function.name}": function.lines
        for source in sources(EVERYTHING)
        for function in source.functions
        if function.lines > LONGEST_FUNCTION
    }
    assert too_long == {}


@pytest.mark.parametrize("package", PRODUCT)
def test_most_functions_are_taken_in_at_a_glance(package: str) -> None:
    lengths = [f.lines for source in sources((package,)) for f in source.functions]
    assert statistics.median(lengths or [0]) < MEDIAN_FUNCTION


def test_no_file_has_a_name_that_says_nothing() -> None:
    names = [source.name for source in sources(EVERYTHING)]
    assert [name for name in names if set(re.split(r"[/_.]", name)) & EMPTY_WORDS] == []


def test_no_class_has_a_name_that_says_nothing() -> None:
    empty = [
        f"{source.name}: {name}"
        for source in sources(EVERYTHING)
        for name in source.classes
        if set(_words(name)) & EMPTY_WORDS
    ]
    assert empty == []


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def test_every_module_states_its_law() -> None:
    silent = [s.name for s in sources(PRODUCT) if not s.is_empty and not s.docstring]
    assert silent == []
