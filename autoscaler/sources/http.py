"""A document from a URL: bounded in size, only from the host that was asked.

Redirects lead no further than the same scheme, host and port, and not more than a few times:
headers may be secret. Nothing is decompressed: a small answer could become a large one.
"""

from collections.abc import Mapping

import aiohttp
from yarl import URL

from autoscaler.sources.source import SourceFailure, place_of, system_words

LARGEST = 1024 * 1024  # bytes
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
_PER_HOST = 100  # connections: one host that hangs does not take those of others


class Http:
    """Connections that all HTTP sources share; made when first used."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body. Raises SourceFailure; takes as long as it is let."""
        try:
            return await self._follow(URL(url), {**headers, "Accept-Encoding": "identity"})
        except (aiohttp.ClientError, OSError) as error:
            raise SourceFailure(f"cannot reach {place_of(url)}: {_why(error)}") from error
        except ValueError as error:
            # Of the URL or a header; its words may repeat them.
            raise SourceFailure(
                f"cannot ask {place_of(url)}: its url or headers are wrong"
            ) from error

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _follow(self, url: URL, headers: Mapping[str, str]) -> tuple[int, bytes]:
        first = url
        for _ in range(1 + _MOST_REDIRECTS):
            async with self._opened().get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status not in _REDIRECTS:
                    return answer.status, await _body(answer, url)
                target = url.join(URL(answer.headers.get("Location", "")))
            if target.origin() != first.origin():
                raise SourceFailure(
                    f"{place_of(str(first))} redirects to {place_of(str(target))}: not followed, "
                    "use that one"
                )
            url = target if target.user else target.with_user(url.user).with_password(url.password)
        raise SourceFailure(f"{place_of(str(first))} redirects more than {_MOST_REDIRECTS} times")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=_PER_HOST),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
                auto_decompress=False,
            )
        return self._session


async def _body(answer: aiohttp.ClientResponse, url: URL) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise SourceFailure(f"{place_of(str(url))} answers compressed, though not asked to")
    body = bytearray()
    async for part in answer.content.iter_any():
        body += part
        if len(body) > LARGEST:
            raise SourceFailure(f"{place_of(str(url))} answers with more than 1 MiB")
    return bytes(body)


def _why(error: Exception) -> str:
    """Without what a library says, which may repeat the URL."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        certificate = error.certificate_error
        return system_words(certificate) if isinstance(certificate, OSError) else "TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        return system_words(error.os_error)
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError):
        return system_words(error)
    return _WORDS.get(type(error), "it does not speak HTTP as it should")


_WORDS: dict[type[Exception], str] = {
    aiohttp.ServerDisconnectedError: "it closed the connection",
    aiohttp.ClientPayloadError: "its answer ended too early",
    aiohttp.InvalidURL: "its url is wrong",
}
