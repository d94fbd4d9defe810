"""What no head can have, found as soon as it comes (RFC 9112 §2.2, RFC 9110 §5.5).

A regular expression says the same, too slowly for what clients may send; here it is the judge.
"""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.grammar import is_spoilt

JUDGE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")
BARE_CR, BARE_LF = "RFC 9112 §2.2: bare CR", "RFC 9112 §2.2: bare LF"
PIECES = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b"a", b"Host: b", b"\t", b" ", b"\x80", b"\xff", b"\x7f"]
    )
    | st.binary(max_size=3),
    max_size=12,
)


@pytest.mark.rule(BARE_CR, side="both")
@pytest.mark.rule(BARE_LF, side="both")
@pytest.mark.parametrize(
    ("data", "spoilt"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\nA: b\r\n", False),
        (b"GET / HTTP/1.1\r", False),  # its LF may follow
        (b"GET / HTTP/1.1\rX", True),
        (b"GET / HTTP/1.1\n", True),
        (b"\n", True),
        (b"\r\r\n", True),
        (b"A: \x00", True),
        (b"A: \x7f", True),
        (b"A: \x0b", True),
        (b"A: \t\xe9", False),
    ],
)
def test_controls_and_lone_ends_of_line_spoil_a_head(data: bytes, spoilt: bool) -> None:
    assert is_spoilt(data, 0) is spoilt


@pytest.mark.rule(BARE_CR, side="both")
@pytest.mark.rule(BARE_LF, side="both")
@given(PIECES.map(b"".join), st.integers(0, 40))
@example(b"a\r\nb", 2)
@example(b"a\nb", 1)
@example(b"\r\n\n", 2)
def test_it_says_what_the_grammar_says_wherever_it_starts(data: bytes, start: int) -> None:
    start = min(start, len(data))
    expected = JUDGE.search(data, start) is not None
    assert is_spoilt(data, start) is expected
    assert is_spoilt(bytearray(data), start) is expected


@pytest.mark.rule(BARE_CR, side="both")
@pytest.mark.rule(BARE_LF, side="both")
@given(st.lists(PIECES.map(b"".join), max_size=6))
def test_looked_at_piece_by_piece_it_is_found_where_it_comes(pieces: list[bytes]) -> None:
    held = b""
    found = False
    for piece in pieces:
        before, held = len(held), held + piece
        found = found or is_spoilt(held, max(0, before - 1))
        assert found is (JUDGE.search(held) is not None)
