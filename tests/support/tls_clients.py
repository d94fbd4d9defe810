"""Clients that speak TLS with the gateway of a stage."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

from config.settings import TlsListener
from tests.support.certificates import Issued
from tests.support.raw_http import PATIENCE, Client, Stage


def trusting(*issued: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for one in issued:
        context.load_verify_locations(one.cert)
    return context


def secure(*issued: Issued, redirect: tuple[str, ...] = ()) -> tuple[TlsListener, ...]:
    """The setting `gateway.tls`: one listener with these certificates."""
    certificates = tuple(one.asked for one in issued)
    return (TlsListener(listen="127.0.0.1:0", certificates=certificates, redirect=redirect),)


def port_of(s: Stage) -> int:
    """Of the first listener for HTTPS."""
    return next(one.address.port for one in s.gateway._listeners if one.certificates is not None)


@contextlib.asynccontextmanager
async def client_of(
    s: Stage, context: ssl.SSLContext, name: str | None = "a.test"
) -> AsyncIterator[Client]:
    """One that checks the certificate for this name."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port_of(s), ssl=context, server_hostname=name or ""
        )
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def blocking(s: Stage, context: ssl.SSLContext, name: str = "a.test") -> ssl.SSLSocket:
    """One that tells a close_notify from the mere end of the connection."""
    plain = socket.create_connection(("127.0.0.1", port_of(s)), timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)
