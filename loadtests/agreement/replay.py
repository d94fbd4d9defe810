"""Plays given arrivals to a gateway, each at its moment, whatever the answers do.

A connection for each request, made shortly before the request is due: what a handshake takes is no
part of what is compared.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.agreement.trace import Part
from loadtests.client import Place

_WAITED = re.compile(rb"\r\nServer-Timing: (?:wake|queue);dur=(\d+)", re.IGNORECASE)
_REQUEST = "GET /sleep?ms={ms:g} HTTP/1.1\r\nHost: {host}.localhost\r\nConnection: close\r\n\r\n"
_AHEAD = 0.3
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """In seconds: how late it was sent, and how long it waited for a replica by the gateway's own
    clock. `status` 0: no answer."""

    service: str
    status: int
    late: float
    waited: float

    @classmethod
    def of(cls, service: str, late: float, answer: bytes) -> "Answer":
        """The header has whole milliseconds, the rest cut off: half of one is added. Of who did
        not wait it says nothing."""
        status = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
        found = _WAITED.search(answer)
        return cls(service, status, late, (int(found[1]) + 0.5) / 1000 if found else 0.0)


async def play(place: Place, due: Sequence[tuple[float, Part]], begin: float) -> list[Answer]:
    """All answers; `begin` is the loop time that the moments of `due` count from."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_visit(place, begin + at, part)) for at, part in due]
    return [task.result() for task in tasks]


async def _visit(place: Place, due: float, part: Part) -> Answer:
    """One that is refused, cut or in vain is told as such: it is a difference, too."""
    try:
        async with asyncio.timeout_at(due + PATIENCE):
            return await _asked(place, due, part)
    except (OSError, TimeoutError):
        return Answer(part.name, 0, 0.0, 0.0)


async def _asked(place: Place, due: float, part: Part) -> Answer:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(due - _AHEAD - loop.time())
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        await asyncio.sleep(due - loop.time())
        late = loop.time() - due
        writer.write(_REQUEST.format(ms=part.work * 1000, host=part.name).encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    return Answer.of(part.name, late, answer)
