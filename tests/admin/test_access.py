"""The pure rules of access."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.access import (
    TokenError,
    bears_token,
    host_of,
    is_cross_site,
    is_own_host,
    read_token,
)


@given(st.text(min_size=1, alphabet=st.characters(min_codepoint=33, max_codepoint=126)), st.text())
def test_only_the_very_token_is_taken(token: str, other: str) -> None:
    assert bears_token(f"Bearer {token}", token)
    assert bears_token(f"Bearer {other}", token) == (other.strip() == token)
    assert not bears_token(token, "") or token == ""


@given(st.text())
def test_no_header_makes_the_checks_fail(text: str) -> None:
    bears_token(text, "token")
    is_own_host(host_of(text))
    is_cross_site("POST", {"Origin": text.replace("[", "").replace("]", ""), "Host": text})


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_never_cross_site(method: str) -> None:
    assert not is_cross_site(method, {"Sec-Fetch-Site": "cross-site"})


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("localhost:9900", "localhost"),
        ("[::1]:9900", "::1"),
        ("Web.Example", "web.example"),
        ("[::", ""),
        ("", ""),
    ],
)
def test_the_host_of_an_authority(authority: str, host: str) -> None:
    assert host_of(authority) == host


def test_a_token_file_is_one_word(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  s3cret\n")
    assert read_token(file) == "s3cret"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot read"), (b"\n", "empty"), (b"two words", "one word"), (b"\xff", "cannot read")],
)
def test_a_token_file_that_cannot_be_used_says_why(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TokenError, match=words):
        read_token(file)
