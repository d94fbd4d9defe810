"""Numbers that hold for all gateway processes together: each tells its own, and sees the sum.

A limit on the sum is asked for after the own number was told: of two processes that come to the
last place at the same time, at least one sees the other. So the limit is never passed; both may
step back, so a refusal means that fewer places were free than there are processes.
"""

from hashlib import blake2b

from tidegate.board import CLIENTS, Board

_WAYS = 16  # words in which an address may be
_BUCKETS = CLIENTS // _WAYS
_COUNT = (1 << 24) - 1  # the lower bits of a word; a fingerprint is above
_PRINT = 1 << 40


class Count:
    """Implements gateway.peers.Count."""

    __slots__ = ("_cells", "_own", "_words")

    def __init__(self, board: Board, row: int, cells: list[int]) -> None:
        self._words = board.words
        self._cells = cells
        self._own = cells[row]

    def tell(self, here: int) -> None:
        self._words[self._own] = here

    def total(self) -> int:
        words = self._words
        return sum([words[cell] for cell in self._cells])


class Clients:
    """Implements gateway.peers.Clients: a table by address in each row.

    An address has one of the words of its bucket. If all are taken, it is counted in its own
    process alone; the key is the operator's own, so nobody can choose addresses to that end.
    """

    def __init__(self, board: Board, row: int) -> None:
        self._board = board
        self._row = row
        self._tables = [board.clients(row) for row in range(board.rows)]

    def tell(self, ip: bytes, here: int) -> None:
        words = self._board.words
        mark, bucket = self._place(ip)
        at = self._tables[self._row] + bucket
        free = -1
        for place in range(at, at + _WAYS):
            word = words[place]
            if word // (_COUNT + 1) == mark:
                words[place] = word - (word & _COUNT) + here if here else 0
                return
            if not word and free < 0:
                free = place
        if here and free >= 0:
            words[free] = mark * (_COUNT + 1) + here

    def total(self, ip: bytes, here: int) -> int:
        words, total = self._board.words, here
        mark, bucket = self._place(ip)
        for row, table in enumerate(self._tables):
            if row != self._row:
                at = table + bucket
                total += sum(
                    word & _COUNT for word in words[at : at + _WAYS] if word // (_COUNT + 1) == mark
                )
        return total

    def _place(self, ip: bytes) -> tuple[int, int]:
        """Its fingerprint, never 0, and where its bucket begins."""
        number = int.from_bytes(blake2b(ip, digest_size=8, key=self._board.key).digest(), "little")
        return number % (_PRINT - 1) + 1, number // _PRINT % _BUCKETS * _WAYS
