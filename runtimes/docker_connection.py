"""Finding the engine and opening a warm connection to it.

aiodocker knows where engines live: DOCKER_HOST, contexts, TLS, ssh, the usual sockets.
"""

import asyncio
import contextlib
import logging
from urllib.parse import urlsplit

import aiodocker
import aiohttp

from cluster.runtime import RuntimeFailure
from runtimes.docker_engine import Deadlines, Engine

# Seconds. A new connection over the socket costs a fifth of a millisecond, an idle one a descriptor
# here and two goroutines there, for as long as it is kept.
_IDLE_FOR = 2.0

log = logging.getLogger("tidegate.runtimes")


async def connect(url: str | None, deadlines: Deadlines) -> Engine:
    """The engine at `url`, or where DOCKER_HOST, the Docker context or the usual sockets say.

    Raises RuntimeFailure(engine-unavailable).
    """
    engine = await _client(url, deadlines)
    try:
        async with engine.call("version", deadlines.call):
            version = await engine.docker.version()
    except BaseException:
        await engine.close()
        raise
    log.info(
        "Docker engine %s at %s, API %s",
        version.get("Version"),
        engine.address,
        engine.docker.api_version,
    )
    return engine


async def _client(url: str | None, deadlines: Deadlines) -> Engine:
    try:
        docker = aiodocker.Docker(url)
    except (AssertionError, ValueError, OSError, aiodocker.DockerError) as error:
        raise RuntimeFailure(
            "engine-unavailable",
            f"no Docker engine found: {error or 'there is no socket at the usual places'}; "
            "start Docker, or set DOCKER_HOST or runtime.docker.url",
            transient=True,
        ) from error
    if isinstance(docker.connector, aiohttp.UnixConnector):
        await docker.close()
        return _local(docker.connector.path, deadlines)
    host = await _published_host(docker.docker_host)
    return Engine(docker, docker.connector, docker.docker_host, host, deadlines)


def _local(path: str, deadlines: Deadlines) -> Engine:
    """Over the socket, connections are not counted: no stop waits beside a hundred followed logs.
    What a crowd of calls has opened is closed again."""
    connector = aiohttp.UnixConnector(path, limit=0, keepalive_timeout=_IDLE_FOR)
    docker = aiodocker.Docker("unix://localhost", connector=connector)
    return Engine(docker, connector, f"unix://{path}", "127.0.0.1", deadlines)


async def _published_host(docker_host: str) -> str:
    """The address by which we reach the engine: its ports are published there and nowhere else."""
    parts = urlsplit(docker_host)
    if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
        return "127.0.0.1"
    with contextlib.suppress(OSError):
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port)
        return str(found[0][4][0])
    return "127.0.0.1"
