"""What stays the same from head to head of one connection.

Pure. Most heads repeat the former one but for the values of a few fields: an id, a length, a date.
A shape is a block cut at these values. A block that fits is read by comparing the parts between
them, and means what a full reading would find: only such values vary that have no meaning here, or
a plain one.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum

_CRLF = b"\r\n"
_HEAD_END = b"\r\n\r\n"


class Kind(Enum):
    """What a value that varies is to us, and what it must look like."""

    MEANINGLESS = rb"[\t\x20-\x7e\x80-\xff]*+"
    LENGTH = rb"[0-9]{1,18}+"
    # Without white space at the ends, which a reading cuts off; an id is short (gateway.fields).
    FORWARDED = rb"[!-~]++(?: [!-~]++)*+"
    REQUEST_ID = rb"[!-~]{1,128}+"


Value = Callable[[bytes, int], "re.Match[bytes] | None"]
Varying = Mapping[int, Kind]  # by the number of the line
Render = Callable[[bytes, bytes], tuple[bytes, bytes]]
Fitted = tuple[int, bytes, int, bytes]  # where the head ends, `forward`, `length`, `request_id`

_VALUES: dict[Kind, Value] = {kind: re.compile(kind.value).match for kind in Kind}
NOTHING: Varying = {}
_MARK = re.compile(rb"\x00([0-9])\x00")  # of a value: no valid block has such bytes


class Shape:
    """A block and what it means: `forward` is the block to send on, `length` and `request_id` are
    those of gateway.head. `varying` are the lines whose values may vary."""

    __slots__ = (
        "_cuts", "_forward", "_id_at", "_last", "_length", "_length_at", "_order", "_request_id",
        "varying",
    )  # fmt: skip

    def __init__(self, block: bytes, forward: bytes, length: int, request_id: bytes = b"") -> None:
        """Nothing varies yet."""
        self.varying = NOTHING
        self._cuts: tuple[tuple[bytes, Value], ...] = ()
        self._last = block + _HEAD_END
        self._forward = forward
        self._order: tuple[int, ...] = ()
        self._length = length
        self._length_at = -1
        self._request_id = request_id
        self._id_at = -1

    def vary(self, block: bytes, varying: Varying, render: Render) -> None:
        """Let values of `block` vary. `render` gives the block to send on and the request id, by
        the block with a mark for each value, which comes first without those of lengths."""
        lines = block.split(_CRLF)
        readable = lines.copy()
        kinds: list[Kind] = []
        for number in sorted(varying):
            kind = varying[number]
            lines[number] = _marked(lines[number], kind, len(kinds))
            if kind is Kind.LENGTH:
                self._length_at = len(kinds)
            else:
                readable[number] = lines[number]
            kinds.append(kind)
        marked = _CRLF.join(lines)
        forward, request_id = render(_CRLF.join(readable), marked)
        literals = _MARK.split(marked)[::2]
        self.varying = varying
        self._last = literals.pop() + _HEAD_END
        values = [_VALUES[kind] for kind in kinds]
        self._cuts = tuple(zip(literals, values, strict=True))
        self._send(forward, request_id)

    def _send(self, forward: bytes, request_id: bytes) -> None:
        """Both may contain marks: values appear where they stand."""
        pieces = _MARK.split(forward)
        self._order = tuple([int(mark) for mark in pieces[1::2]])
        self._forward = forward
        if self._order:
            self._forward = b"%b".join([piece.replace(b"%", b"%%") for piece in pieces[::2]])
        if mark := _MARK.fullmatch(request_id):
            self._id_at = int(mark[1])

    def fit(self, data: bytes, at: int, most: int) -> Fitted | None:
        """What the block at `at` means, if it fits and has up to `most` bytes (0: any number)."""
        last = self._last
        if not self._cuts:
            if data.startswith(last, at):
                return at + len(last), self._forward, self._length, self._request_id
            return None
        values = []
        here = at
        for literal, value in self._cuts:
            if not data.startswith(literal, here):
                return None
            found = value(data, here + len(literal))
            if found is None:
                return None
            values.append(found[0])
            here = found.end()
        end = here + len(last)
        if not data.startswith(last, here) or 0 < most < end - 4 - at:
            return None
        return self._read(end, values)

    def _read(self, end: int, values: list[bytes]) -> Fitted:
        forward = self._forward
        if self._order:
            forward %= tuple([values[index] for index in self._order])
        length = self._length if self._length_at < 0 else int(values[self._length_at])
        request_id = self._request_id if self._id_at < 0 else values[self._id_at]
        return end, forward, length, request_id


# Fits nothing: the shape of heads that must be read in full.
SHAPELESS = Shape(b"\x00", b"", 0)


def _marked(line: bytes, kind: Kind, number: int) -> bytes:
    """The line with a mark for its value, or for what a reading takes for its value."""
    name, _, value = line.partition(b":")
    mark = b"\x00%d\x00" % number
    if kind is Kind.MEANINGLESS:
        return b"%b:%b" % (name, mark)
    bare = value.strip(b" ")
    before, _, after = value.partition(bare) if bare else (value, b"", b"")
    return b"%b:%b%b%b" % (name, before, mark, after)
