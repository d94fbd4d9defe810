"""Frames to lines and events to news. Docker Engine API, "Attach to a container", Stream format."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.model import InstanceStatus
from cluster.runtime import Hint, LogLine
from runtimes.docker_streams import News, Output, news_of

STAMP = b"2026-11-21T23:21:08.153460433Z "
AT = 1795303268.15346


def frame(stream: int, text: bytes, stamp: bytes = STAMP) -> bytes:
    return struct.pack(">BxxxL", stream, len(stamp + text)) + stamp + text


def lines_of(data: bytes, size: int) -> list[LogLine]:
    output = Output("web-1")
    told = [line for at in range(0, len(data), size) for line in output.feed(data[at : at + size])]
    return told + list(output.end())


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2]),
            st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=30),
        ),
        max_size=8,
    ),
    st.integers(1, 64),
)
def test_lines_come_out_as_they_went_in_however_the_stream_is_cut(
    lines: list[tuple[int, str]], size: int
) -> None:
    data = b"".join(frame(stream, text.encode() + b"\n") for stream, text in lines)
    names = {1: "stdout", 2: "stderr"}
    told = lines_of(data, size)
    assert [(line.stream, line.text) for line in told] == [(names[s], t) for s, t in lines]
    assert all(line.at == pytest.approx(AT, abs=0.001) for line in told)


def test_pieces_of_a_line_are_put_together_for_each_stream_apart() -> None:
    data = frame(1, b"a" * 5) + frame(2, b"x") + frame(1, b"b\n") + frame(2, b"y\r\n")
    told = lines_of(data, 1000)
    assert [(line.stream, line.text) for line in told] == [("stdout", "aaaaab"), ("stderr", "xy")]


def test_last_words_without_an_end_of_line_are_told() -> None:
    assert [line.text for line in lines_of(frame(1, b"bye"), 7)] == ["bye"]


def test_a_line_without_end_does_not_grow_without_bound() -> None:
    data = b"".join(frame(1, b"z" * 16384) for _ in range(40))
    told = lines_of(data, 65536)
    assert len(told) > 1
    assert max(len(line.text) for line in told) <= (1 << 18) + 16384


def test_a_piece_without_a_time_is_kept_whole() -> None:
    [line] = lines_of(frame(1, b"no time here\n", stamp=b""), 100)
    assert (line.text, line.at) == ("no time here", None)


def test_an_event_says_where_to_look_and_what_must_be_true_by_then() -> None:
    told = (
        b'{"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":'
        b'{"exitCode":"3","tidegate.service":"web"}}}\n'
    )
    assert news_of(told) == News("c1", InstanceStatus.EXITED, Hint("web"))
    assert news_of(told).hint.ended == "c1"
    started = news_of(told.replace(b"die", b"start"))
    assert started == News("c1", InstanceStatus.RUNNING, Hint("web"), starts=True)


@pytest.mark.parametrize("nonsense", [b"", b"{}", b'{"Actor": {}}', b"not json"])
def test_nonsense_is_an_error_and_no_news(nonsense: bytes) -> None:
    with pytest.raises((ValueError, LookupError)):
        news_of(nonsense)
