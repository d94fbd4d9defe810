"""What waits in a Redis: the length of a list or of a stream, or the backlog of a group.

A group's backlog is what it was never given (its lag) and what it was given and has not
acknowledged (pending). Redis tells no lag before version 7, nor where entries were deleted from
the middle, nor for a group that began there, until it has read everything: then it is counted, up
to a bound. Nobody reads while a service sleeps, so a lag that is not told must not be an error. A
group that does not exist yet has everything before it: whoever makes it has to be woken first.
"""

import contextlib
import itertools
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from autoscaler.sources.source import SourceFailure, place_of, secrets_of, system_words, without
from config.rules import RedisRule

MOST_COUNTED = 10_000  # entries of an unknown lag; more than that is told as so many
_PAGE = 100


class RedisSource:
    """One connection, kept between questions."""

    def __init__(self, rule: RedisRule) -> None:
        self._rule = rule
        self._place = place_of(rule.url)
        self._secrets = secrets_of(rule.url)
        self._client: Redis | None = None

    async def ask(self) -> float:
        try:
            return float(await self._length(self._connected()))
        except RedisError as error:
            if isinstance(error.__context__, OSError):
                raise self._unreachable(error.__context__) from error
            says = without(f"{self._place}: {error}", self._secrets)
            raise SourceFailure(says) from error
        except OSError as error:
            raise self._unreachable(error) from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # Of the URL's options, or of something that is no Redis.
            raise SourceFailure(f"{self._place} cannot be asked as a Redis") from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()

    def _connected(self) -> Redis:
        """How long it takes is the asker's to bound, and when to try again."""
        if self._client is None:
            self._client = Redis.from_url(
                self._rule.url,
                single_connection_client=True,
                socket_timeout=None,
                socket_connect_timeout=None,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                decode_responses=True,
                encoding_errors="replace",
            )
        return self._client

    def _unreachable(self, error: OSError) -> SourceFailure:
        return SourceFailure(f"cannot reach {self._place}: {system_words(error)}")

    async def _length(self, client: Redis) -> int:
        rule = self._rule
        if rule.list is not None:
            return await client.llen(rule.list)
        stream = rule.stream or ""
        length = int(await client.xlen(stream))
        if rule.group is None or length == 0:
            return length
        group = await _group(client, stream, rule.group)
        if group is None:
            return length
        lag = group.get("lag")
        if lag is None:
            lag = await _counted(client, stream, str(group["last-delivered-id"]))
        return int(lag) + int(group["pending"])


async def _group(client: Redis, stream: str, name: str) -> Mapping[str, Any] | None:
    """What XINFO GROUPS tells of it; None when there is no such group."""
    try:
        groups = await client.xinfo_groups(stream)
    except ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
    return next((group for group in groups if group["name"] == name), None)


async def _counted(client: Redis, stream: str, last: str) -> int:
    """The entries after this one, at most MOST_COUNTED."""
    count = 0
    for _ in itertools.repeat(None, MOST_COUNTED // _PAGE):
        # "(" excludes, since Redis 6.2.
        page = await client.xrange(stream, min=f"({last}", count=_PAGE) or []
        count += len(page)
        if len(page) < _PAGE:
            break
        last = str(page[-1][0])
    return count
