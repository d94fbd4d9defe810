"""Where a request stands."""

from enum import IntEnum


class Phase(IntEnum):
    """Ordered: from AWAITING on the head has been sent, from STREAMING on an answer has begun."""

    QUEUED = 0
    CONNECTING = 1
    AWAITING = 2
    STREAMING = 3
    TUNNEL = 4
