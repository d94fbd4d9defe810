"""A port for a server that begins later, or again: meanwhile the kernel gives it to nobody else.

A port that was merely found free may be taken before its server listens: whoever binds to port 0
gets any port that is free at the time.
"""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """On loopback, for the length of a block. Connections are refused until somebody listens, which
    whoever sets SO_REUSEADDR may do, as servers do."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
