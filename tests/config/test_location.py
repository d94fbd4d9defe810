"""Which file is meant: named, in the environment, or right here."""

from pathlib import Path

import pytest

from config.location import find


@pytest.mark.parametrize(
    ("explicit", "environ", "found"),
    [
        ("a.yaml", {"TIDEGATE_CONFIG": "b.yaml"}, "a.yaml"),
        (None, {"TIDEGATE_CONFIG": "b.yaml"}, "b.yaml"),
        (None, {"TIDEGATE_CONFIG": ""}, "tidegate.yaml"),
        (None, {}, "tidegate.yaml"),
    ],
)
def test_the_option_then_the_variable_then_right_here(
    explicit: str | None, environ: dict[str, str], found: str
) -> None:
    assert find(explicit, environ) == Path(found)
