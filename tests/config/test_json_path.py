"""The path of a JSON rule's number: a small grammar, and a clear word for all else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.json_path import json_path, steps_of


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a[0]", ("a", 0)),
        ("$[0].a", (0, "a")),
        ("$a", ("$a",)),
        ("n", ("n",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("[2][10]", (2, 10)),
        ("queue-length.ümlaut_1", ("queue-length", "ümlaut_1")),
        ("a.0", ("a", "0")),
        ('a["b.c"].d', ("a", "b.c", "d")),
        (r'["say \"hi\" ]"]', ('say "hi" ]',)),
    ],
)
def test_a_path_is_read_step_by_step(path: str, steps: tuple[str | int, ...]) -> None:
    assert steps_of(path) == steps
    assert json_path(path) == path


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("a..b", "..b"),
        ("a.", "."),
        (".a", ".a"),
        ("a[0]b", "b"),
        ("a[-1]", "[-1]"),
        ("a[]", "[]"),
        ("a b", " b"),
        ("a['b']", "['b']"),
        (r'a["\x"]', r'["\x"]'),
        ("$.", "."),
    ],
)
def test_what_is_no_path_is_refused_where_it_ends_to_be_one(path: str, rest: str) -> None:
    with pytest.raises(ValueError, match=r"such as queue\.length") as error:
        steps_of(path)
    assert str(error.value).endswith(f'cannot read "{rest}"')


@given(st.lists(st.text() | st.integers(0, 999_999_999), min_size=1, max_size=5))
def test_every_key_of_a_document_can_be_written(steps: list[str | int]) -> None:
    written = "".join(f"[{json.dumps(step)}]" for step in steps)
    assert steps_of(written) == tuple(steps)
