"""Environment files, as Docker Compose reads them.

Source: docs.docker.com/compose/how-tos/environment-variables/variable-interpolation, "Env-file
syntax". Substitution of ${VAR} is left out on purpose.
"""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.dotenv import BadEntry, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("A=", ""),
        ("A = b ", "b"),
        ("export A=b", "b"),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A=#c", ""),
        ("A='b # c'", "b # c"),
        ("A='b' # comment", "b"),
        ('A="b\\tc\\n\\"d\\" \\\\ \\x"', 'b\tc\n"d" \\ \\x'),
        ("A='b\\tc'", "b\\tc"),
        ("A='Let\\'s go'", "Let's go"),
        ('A="two\nlines"', "two\nlines"),
        ("A='two\nlines'", "two\nlines"),
        ("A=$B ${C}", "$B ${C}"),
        ("A=b=c", "b=c"),
        ("A=it's", "it's"),
        ("A=1\nA=2", "2"),
        ("A=b\r\n", "b"),
    ],
)
def test_one_variable(text: str, value: str) -> None:
    assert parse(text) == {"A": value}


def test_blank_lines_and_comments_are_left_out_and_the_order_is_kept() -> None:
    text = "\ufeff# first\n\n  # second\nB=1\n\nA=2\nC=\nD=3"
    assert list(parse(text).items()) == [("B", "1"), ("A", "2"), ("C", ""), ("D", "3")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("A=1\nB\n", 2, "must be NAME=VALUE"),
        ("=1", 1, "must be NAME=VALUE"),
        ("A B=1", 1, "must be NAME=VALUE"),
        ("1A=1", 1, "must be NAME=VALUE"),
        ("\nA='b", 2, "has a quote that is never closed"),
        ('A="b', 1, "has a quote that is never closed"),
        ("A='b'c", 1, "has text after the closing quote"),
        ('A="b" c', 1, "has text after the closing quote"),
    ],
)
def test_a_wrong_line(text: str, line: int, message: str) -> None:
    with pytest.raises(BadEntry) as caught:
        parse(text)
    assert (caught.value.line, caught.value.message) == (line, message)


@given(st.text(alphabet=st.sampled_from("AB=='\"\\# \t\n\r$x1"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadEntry):
        assert all(name.isidentifier() for name in parse(text))
