"""Which requests may be sent again, and how many.

Pure. Safe are those of which nothing reached a replica, and those whose repetition changes nothing
(RFC 9110 §9.2.2) as long as no byte of a body was sent and none of an answer seen. The budget is a
share of all requests plus a small floor, so that retries cannot multiply an outage (Finagle and
linkerd do the same).
"""

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))

_FLOOR_PER_SECOND = 3.0
_FLOOR_MAX = 10.0
_EARNED_MAX = 100.0


def is_safe(method: bytes, *, sent: bool, body_sent: bool) -> bool:
    """Whether a request without any answer may be sent again. `sent`: its head has left us."""
    return not sent or (not body_sent and method in IDEMPOTENT)


class Budget:
    """What may be retried, earned by requests and by time."""

    __slots__ = ("_at", "_earned", "_floor", "_seen")

    def __init__(self, now: float) -> None:
        self._at = now
        self._seen = 0
        self._earned = 0.0
        self._floor = _FLOOR_MAX

    def withdraw(self, share: float, requests: int, now: float) -> bool:
        """Take one retry. `requests` is the count of all so far, `share` of which may be retried;
        nothing is to be done for a request that is not retried. A share of 0 allows none."""
        if share <= 0:
            return False
        self._earned = min(_EARNED_MAX, self._earned + share * (requests - self._seen))
        self._floor = min(_FLOOR_MAX, self._floor + _FLOOR_PER_SECOND * (now - self._at))
        self._seen, self._at = requests, now
        if self._earned >= 1:
            self._earned -= 1
        elif self._floor >= 1:
            self._floor -= 1
        else:
            return False
        return True
