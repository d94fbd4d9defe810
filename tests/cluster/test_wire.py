"""What goes in on one side comes out on the other, whatever it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import wire
from cluster.messages import EndpointSnapshot, LoadReport, Outcome, Wake

messages = st.one_of(
    *(
        st.from_type(kind)
        for kind in (
            EndpointSnapshot,
            LoadReport,
            Wake,
            Outcome,
            wire.Left,
            wire.Share,
            wire.Joined,
            wire.Unshare,
            wire.Begin,
            wire.Began,
            wire.Drain,
            wire.DrainedAll,
            wire.TakeOver,
            wire.Taken,
            wire.Ping,
            wire.Pong,
            wire.Count,
        )
    )
)


def is_plain(message: object) -> bool:
    """JSON has no NaN, no infinity, no lone surrogate and no number beyond 64 bits."""
    try:
        repr(message).encode()
    except UnicodeEncodeError:
        return False
    text = repr(message)
    return "nan" not in text and "inf" not in text.replace("in_flight", "")


@given(messages.filter(is_plain))
def test_a_message_survives_the_wire(message: wire.Message) -> None:
    try:
        line = wire.encode(message)
    except TypeError:
        return  # an integer beyond 64 bits: no count ever is
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert wire.decode(line) == message


@given(st.binary())
def test_garbage_is_malformed_and_nothing_else(line: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "Nonsense", "body": {}}',
        b'{"kind": "Wake", "body": {}}',
        b'{"kind": "Wake"}',
        b"[]",
        b'{"kind": "LoadReport", "body": {"service": 1}}',
    ],
)
def test_lines_of_the_wrong_shape_are_malformed(line: bytes) -> None:
    with pytest.raises(wire.Malformed, match="not a message"):
        wire.decode(line)
