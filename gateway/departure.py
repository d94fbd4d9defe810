"""Whether a client has left while its bytes are not read.

A loop that does not read a connection does not learn of its end either, neither asyncio's nor
uvloop's. The kernel takes a FIN or a reset all the same, whatever lies unread before it, and tells
the state of a connection without reading (tcp(7), TCP_INFO). A FIN behind bytes that did not fit
into our receive buffer has not come yet: then the timeouts are what is left.
"""

import asyncio
import socket

# Of the kernel's include/net/tcp_states.h.
_CLOSE = 7
_CLOSE_WAIT = 8


def has_left(transport: asyncio.Transport, *, halves: bool) -> bool:
    """Whether it was reset; or ended by the client, unless each half may end alone (`halves`)."""
    if transport.is_closing():
        return False
    descriptor = transport.get_extra_info("socket").fileno()
    # Whatever its family. No copy of the descriptor is made, as uvloop's own socket would: there
    # may be none left.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=descriptor)
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    finally:
        sock.detach()
    return state == _CLOSE or (state == _CLOSE_WAIT and not halves)
