"""Bodies: their end is found whatever the reads, and their bytes pass unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.framing import (
    CHUNKED,
    BadFraming,
    Chunked,
    Counted,
    Follower,
    Rechunked,
    UntilClose,
    follower,
)
from tests.gateway.corpus import HEADS
from tests.gateway.test_head import split

CUTS = st.lists(st.integers(0, 10**6), max_size=8)


def feed(one: Follower, parts: list[bytes]) -> None:
    for part in parts:
        one.feed(part)


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A chunked body and its content."""
    parts = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    extension = st.sampled_from([b"", b";a", b";a=b", b';a="x;\\"y"'])
    size = st.sampled_from([b"%x", b"%X", b"00%x"])
    chunks = [draw(size) % len(part) + draw(extension) + b"\r\n" + part + b"\r\n" for part in parts]
    trailers = draw(st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nSum:\r\n"]))
    last = draw(st.sampled_from([b"0", b"000"]))
    return b"".join(chunks) + last + b"\r\n" + trailers + b"\r\n", b"".join(parts)


@pytest.mark.rule("RFC 9112 §7.1: chunked bodies", side="both")
@pytest.mark.rule("RFC 9112 §11.2: any split", side="both")
@given(chunked(), st.binary(max_size=20), CUTS, st.booleans())
def test_a_chunked_body_passes_as_it_came_rfc9112_7_1(
    body: tuple[bytes, bytes], following: bytes, cuts: list[int], bare: bool
) -> None:
    raw, content = body
    one = Chunked(bare=bare)
    passed, rest = b"", b""
    for part in split(raw + following, cuts):
        if one.done:
            rest += part
        else:
            passed += one.feed(part)
            rest += one.rest
    assert one.done
    assert passed == (content if bare else raw)
    assert rest == following
    assert one.size == len(content)


BAD = {name: data for name, (data, _) in HEADS.items() if b"chunked\r\n\r\n" in data}


@pytest.mark.rule("RFC 9112 §11.2: any split", side="both")
@pytest.mark.parametrize("name", [name for name in BAD if name.startswith(("chunk", "trailer"))])
@given(cuts=CUTS)
def test_a_bad_chunk_is_refused_however_it_is_cut_rfc9112_7_1(name: str, cuts: list[int]) -> None:
    raw = BAD[name].partition(b"\r\n\r\n")[2]
    one = follower(CHUNKED)
    with pytest.raises(BadFraming):
        feed(one, split(raw, cuts))
    assert not one.done


@pytest.mark.rule("RFC 9112 §11.2: no input raises", side="both")
@given(st.binary(max_size=200))
def test_a_follower_raises_only_its_own_error(data: bytes) -> None:
    one = Chunked()
    try:
        passed = one.feed(data)
    except BadFraming:
        return
    assert data.startswith(passed)


@pytest.mark.rule("RFC 9110 §6.5.1: forbidden trailers", side="both")
def test_a_digest_may_trail_rfc9530_2() -> None:
    one = Chunked()
    raw = b"1\r\nx\r\n0\r\nContent-Digest: sha-256=:YQ==:\r\nServer-Timing: a\r\n\r\n"
    assert one.feed(raw) == raw
    assert one.done
    with pytest.raises(BadFraming):
        Chunked().feed(b"0\r\nContent-Digests: x\r\n\r\n")


def test_the_end_of_a_chunk_passes_at_once_rfc9112_7_1() -> None:
    one = Chunked()
    for part in (b"1\r\nx\r\n", b"1\r\n", b"x", b"\r\n", b"0\r\n\r\n"):
        assert one.feed(part) == part
    assert one.done


@pytest.mark.rule("RFC 9112 §7.1.1: chunk extensions", side="both")
def test_extensions_are_bounded() -> None:
    one = Chunked()
    with pytest.raises(BadFraming):
        feed(one, [b"1;" + b"a" * 100 + b"\r\nx\r\n"] * 1000)


@pytest.mark.rule("RFC 9112 §7.1.2: trailer section", side="both")
def test_trailers_are_bounded() -> None:
    one = Chunked()
    one.feed(b"0\r\n")
    with pytest.raises(BadFraming):
        feed(one, [b"A: " + b"a" * 100 + b"\r\n"] * 1000)


@pytest.mark.rule("RFC 9112 §6.2: counted bodies", side="both")
@pytest.mark.rule("RFC 9112 §11.2: any split", side="both")
@given(st.integers(0, 50), st.binary(max_size=100), CUTS)
def test_a_counted_body_ends_where_it_said_rfc9112_6_2(
    length: int, data: bytes, cuts: list[int]
) -> None:
    one = Counted(length)
    passed, rest = b"", b""
    for part in split(data, cuts):
        if one.done:
            rest += part
        else:
            passed += one.feed(part)
            rest += one.rest
    assert passed == data[:length]
    assert rest == data[length:]
    assert one.done is (len(data) >= length)


def test_a_close_delimited_body_never_ends_by_itself() -> None:
    one = UntilClose()
    assert one.feed(b"0\r\n\r\n") == b"0\r\n\r\n"
    assert not one.done


@pytest.mark.rule("RFC 9112 §6.3: close-delimited answers", side="replica")
@given(st.lists(st.binary(max_size=40)))
def test_rechunking_keeps_the_content(parts: list[bytes]) -> None:
    one, back = Rechunked(), Chunked(bare=True)
    sent = b"".join(one.feed(part) for part in parts) + b"0\r\n\r\n"
    assert back.feed(sent) == b"".join(parts)
    assert back.done
