"""A port for a server that is told its number, and that is not there yet."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """Of 127.0.0.1. The kernel gives it to nobody else while the block lasts; who names it can have
    it, with SO_REUSEADDR as servers have it (socket(7): as long as the other one does not listen).
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
