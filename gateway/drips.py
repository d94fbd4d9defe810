"""The head of a message that comes in pieces: each byte is looked at once, however many they are.

Pure. A parser that were asked at every piece would read all that came before again and again. It
is asked only when there is something new to say: a whole head, a whole first line, a beginning
that is no method, a byte that belongs into no head (RFC 9112 §2.2), or too many bytes.
"""

from gateway import grammar


class Drips:
    """What has come of a head; for one that was begun and is not complete.

    `longest_line` bounds the first line, `most` what follows it, in bytes; 0 is no limit. A
    message whose first line is of no interest alone has `longest_line` -1, and `most` for all.
    """

    __slots__ = ("_held", "_line", "_longest_line", "_most")

    def __init__(self, begun: bytes, longest_line: int, most: int) -> None:
        self._held = bytearray(begun)
        self._longest_line = longest_line
        self._most = most
        self._line = 0 if longest_line < 0 else begun.find(b"\r\n", _after_empty_line(begun))

    def add(self, data: bytes) -> bytes:
        """All that has come, when a parser should look at it; else nothing."""
        held = self._held
        before = len(held)
        held += data
        if self._is_worth_it(before):
            return bytes(held)
        return b""

    def _is_worth_it(self, before: int) -> bool:
        held = self._held
        if held.find(b"\r\n\r\n", max(0, before - 3)) >= 0:
            return True
        if grammar.is_spoilt(held, max(0, before - 1)):
            return True
        if self._line >= 0:
            return 0 < self._most < len(held) - self._line
        first = _after_empty_line(held)
        self._line = held.find(b"\r\n", max(first, before - 1))
        if self._line >= 0 or 0 < self._longest_line < len(held) - first:
            return True
        # A glance at 65 bytes at most.
        return len(held) > first and not grammar.STARTS_LIKE_REQUEST.match(held, first)


def _after_empty_line(held: bytes | bytearray) -> int:
    """RFC 9112 §2.2: one empty line may come before a request."""
    return 2 if held.startswith(b"\r\n") else 0
