"""What is recorded of the answers of one service, for those who try rules on it later.

Pure. Nothing is counted unless a service asks for it; then once for each complete answer that is no
failure, and once for each failure.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cluster.buckets import EDGES, Sparse, sparse
from cluster.messages import Recorded
from cluster.sizes import LAST, bucket

if TYPE_CHECKING:
    from gateway.exchange import Exchange


class Account:
    """The counts of one service since they were taken last."""

    __slots__ = (
        "_waits", "answer_bytes", "answer_sizes", "failures", "occupied", "request_bytes",
        "request_sizes",
    )  # fmt: skip

    def __init__(self, waits: Sequence[int]) -> None:
        """`waits` of requests for a wake, as counted so far, are not told."""
        self._waits = tuple(waits)
        self._begin()

    def _begin(self) -> None:
        self.failures = self.request_bytes = self.answer_bytes = 0
        self.occupied = [0] * (len(EDGES) + 1)
        self.request_sizes = [0] * (LAST + 1)
        self.answer_sizes = [0] * (LAST + 1)

    def answered(self, seconds: float, request: int, answer: int) -> None:
        """`seconds` after a request was sent; the sizes of both bodies."""
        self.occupied[bisect_left(EDGES, seconds)] += 1
        self.request_sizes[bucket(request)] += 1
        self.answer_sizes[bucket(answer)] += 1
        self.request_bytes += request
        self.answer_bytes += answer

    def take(self, waits: Sequence[int]) -> Recorded:
        """Then all begins anew. `waits`: of all requests so far that waited for a wake."""
        before, self._waits = self._waits, tuple(waits)
        told = Recorded(
            self.failures,
            _filled(self.occupied),
            _filled(self.request_sizes),
            _filled(self.answer_sizes),
            self.request_bytes,
            self.answer_bytes,
            sparse(self._waits, before),
        )
        self._begin()
        return told


def uploaded(exchange: "Exchange") -> int:
    """The size of the request's body: as announced, else as it came so far."""
    length, client = exchange.request.length, exchange.client
    if length >= 0:
        return length
    return client.received if client.body is None else client.body.size


def _filled(counts: Sequence[int]) -> Sparse:
    return tuple((index, count) for index, count in enumerate(counts) if count)
