"""Where frames end, whatever the reads; and a Close of ours only there (RFC 6455 §5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.frames import GOING_AWAY, Frames, close_frame
from tests.gateway.test_framing import CUTS
from tests.gateway.test_head import split
from tests.gateway.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, Frame

WORD = close_frame(GOING_AWAY, b"bye")
frames = st.builds(
    Frame,
    st.sampled_from([TEXT, BINARY, CONTINUATION, PING]),
    st.one_of(st.binary(max_size=20), st.integers(120, 300).map(bytes), st.just(bytes(70_000))),
    st.booleans(),
    st.booleans(),
).map(Frame.encode)


def test_a_close_is_encoded_as_the_standard_says_rfc6455_5_5_1() -> None:
    assert close_frame(1001, b"bye") == b"\x88\x05\x03\xe9bye"
    assert close_frame(1001, b"", b"\x01\x80\x00\xff") == b"\x88\x82\x01\x80\x00\xff\x02\x69"


@pytest.mark.rule("RFC 6455 §5: WebSocket", side="both")
@given(st.lists(frames, max_size=5), CUTS)
def test_bytes_pass_as_they_came(spoken: list[bytes], cuts: list[int]) -> None:
    one = Frames()
    text = b"".join(spoken)
    assert b"".join(one.feed(part) for part in split(text, cuts)) == text
    assert one.end_with(WORD) == WORD, "all frames are complete"


@pytest.mark.rule("Tidegate: tunnels told to close", side="both")
@given(st.lists(frames, min_size=1, max_size=5), CUTS, st.data())
def test_our_close_stands_between_two_frames_and_is_the_last(
    spoken: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    parts = split(b"".join(spoken), cuts)
    when = data.draw(st.integers(0, len(parts)))
    one, passed = Frames(), b""
    for part in parts[:when]:
        passed += one.feed(part)
    passed += one.end_with(WORD)
    for part in parts[when:]:
        passed += one.feed(part)
    ends = [b"".join(spoken[:count]) for count in range(len(spoken) + 1)]
    told = sum(map(len, parts[:when]))
    expected = next(end for end in ends if len(end) >= told)
    assert passed == expected + WORD
    assert one.is_over
    assert one.feed(b"more") == b""
    assert one.end_with(WORD) == b"", "once is enough"


def test_after_a_close_of_the_sender_there_is_nothing_to_say() -> None:
    one = Frames()
    closing = Frame(CLOSE, b"\x03\xe8").encode()
    assert one.feed(closing) == closing
    assert one.end_with(WORD) == b""
    assert one.feed(b"\x81\x00") == b"\x81\x00"


def test_a_close_of_the_sender_comes_before_ours() -> None:
    one, text, closing = Frames(), Frame(TEXT, b"hello").encode(), Frame(CLOSE, b"").encode()
    one.feed(text[:3])
    assert one.end_with(WORD) == b""
    assert one.feed(text[3:] + closing) == text[3:] + WORD, "it had the frame before"
    late = Frames()
    late.feed(closing[:1])
    assert late.end_with(WORD) == b""
    assert late.feed(closing[1:]) == closing[1:]
    assert not late.is_over


@pytest.mark.parametrize("nonsense", [b"\x83\x00", b"GET / HTTP/1.1\r\n", b"\x0b"])
def test_what_is_no_frame_is_left_alone(nonsense: bytes) -> None:
    """0x47, the G of GET, has a reserved opcode as well."""
    one = Frames()
    assert one.feed(nonsense) == nonsense
    assert one.end_with(WORD) == b""
    assert one.feed(b"anything") == b"anything"
