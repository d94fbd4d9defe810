"""The reference page is what the code says today."""

from pathlib import Path

from config.reference import page
from config.schema import json_schema

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "config.md"


def test_the_page_is_up_to_date() -> None:
    """If not: python -m config.reference > docs/reference/config.md"""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_key_has_its_line() -> None:
    schema = json_schema()
    text = page()
    for part in (schema, *schema["$defs"].values()):
        for key in part["properties"]:
            assert f"| `{key}` |" in text


def test_every_section_of_the_schema_is_on_the_page() -> None:
    """A new one fails here until it is given its heading."""
    for name, part in json_schema()["$defs"].items():
        assert part["description"] in page(), name


def test_what_is_a_size_or_a_ratio_says_both() -> None:
    (line,) = (
        line for line in page().splitlines() if line.startswith("| `memory` | size or ratio")
    )
    assert line.startswith("| `memory` | size or ratio or whole number (from 1) or `null` |")


def test_the_head_names_every_key_of_the_file() -> None:
    schema = json_schema()
    assert all(key in schema["description"] for key in schema["properties"])
