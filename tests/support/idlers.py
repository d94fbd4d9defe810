"""Clients that connect and say nothing: `python -m tests.support.idlers HOST PORT COUNT`.

Those that are sent away come again after a moment, as real clients do. Says `connected` once each
has tried, and goes when its input ends.
"""

import asyncio
import contextlib
import sys

from cluster import descriptors

_AGAIN = 0.2


async def run(host: str, port: int, count: int) -> None:
    tried = 0

    async def stay() -> None:
        nonlocal tried
        first = True
        while True:
            try:
                async with asyncio.timeout(2):
                    reader, writer = await asyncio.open_connection(host, port)
            except (OSError, TimeoutError):
                writer = None
            tried += first
            first = False
            if writer is not None:
                with contextlib.suppress(OSError):
                    await reader.read()
                writer.transport.abort()
            await asyncio.sleep(_AGAIN)

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(stay()) for _ in range(count)]
    while tried < count:  # noqa: ASYNC110 (a condition of many)
        await asyncio.sleep(0.01)
    print("connected", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    descriptors.raise_limit()
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
