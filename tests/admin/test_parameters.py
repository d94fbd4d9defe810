"""What the description says of a duration is what is taken."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.openapi import schemas
from admin.parameters import ScaleRequest, read_body
from admin.problems import Problem
from config.units import LONGEST, parse_duration

PATTERN = re.compile(schemas()["LeaseRequest"]["properties"]["for"]["pattern"])


def is_taken(text: str) -> bool:
    try:
        read_body(ScaleRequest, b'{"replicas": 1, "for": "%b"}' % text.encode())
    except Problem:
        return False
    return True


@given(st.from_regex(PATTERN, fullmatch=True))
def test_what_fits_the_description_is_taken_unless_it_is_too_long(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < parse_duration(text) <= LONGEST
        return
    with pytest.raises(ValueError, match="must be at most"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["10m", "1h30m", "0.5s", "250ms", "0.001ms", "0", "0s", "0.0h0ms", "", "m", "1", "-1s",
             "1 s", "1S", "1e3s", "s1", "1m ", "∞", "1d"],
)  # fmt: skip
def test_the_description_and_the_check_agree(text: str) -> None:
    assert bool(PATTERN.fullmatch(text)) is is_taken(text)
