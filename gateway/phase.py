"""Where a request stands, and who wants to know that it moved."""

from enum import IntEnum


class Phase(IntEnum):
    """Ordered: from AWAITING on the head has been sent, from STREAMING on an answer has begun."""

    QUEUED = 0
    CONNECTING = 1
    AWAITING = 2
    STREAMING = 3
    TUNNEL = 4


# Bits of what has moved, one for each who looks: none takes the news from the other.
FOR_DEADLINE = 1
FOR_SILENCE = 2
