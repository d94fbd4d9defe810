"""Requests of every kind while replicas are replaced, each of them counted, on any runtime."""

import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import yaml

from tests.support.callers import Book, calling
from tests.support.running import Running

# Connections that are kept and such that are not; with a body nothing may ever be sent twice.
CALLERS = (
    ("GET", "web", "/sleep?ms=20", b"", True),
    ("GET", "web", "/", b"", False),
    ("POST", "web", "/echo", b"x" * 2000, True),
    ("POST", "web", "/echo", b"short", False),
    ("DELETE", "web", "/sleep?ms=50", b"", True),
)


@contextlib.asynccontextmanager
async def load(running: Running) -> AsyncIterator[Book]:
    """Under way all the while; at the end not one of them has failed."""
    book = Book(running)
    async with calling(book, *CALLERS):
        yield book
    assert (book.wrong, book.lost) == ([], {})


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = yaml.safe_load(file.read_text())
    change(content["services"])
    file.write_text(yaml.safe_dump(content))


def colour(running: Running, name: str) -> None:
    """Another revision, as an operator would ask for it."""
    edit(running.file, lambda services: services["web"]["env"].update(COLOUR=name))
    running.process.send_signal(signal.SIGHUP)


async def ids(running: Running) -> set[str]:
    return {replica["id"] for replica in await running.replicas("web", "ready")}


async def settle(running: Running, count: int) -> None:
    """So many ready, nothing else there, and no rollout under way."""

    async def is_settled() -> bool:
        view = await running.service("web")
        states = [replica["state"] for replica in view["replicas"]]
        phase = (view["rollout"] or {}).get("phase")
        return states == ["ready"] * count and phase in (None, "rolled-back")

    await running.until(is_settled)


async def is_in_phase(running: Running, phase: str) -> bool:
    return ((await running.service("web"))["rollout"] or {}).get("phase") == phase


async def restart(running: Running, count: int) -> None:
    """Rolling, under load."""
    before = await ids(running)
    async with load(running) as book:
        answer = await running.api("/v1/services/web/restart", "POST")
        assert answer.status == 202

        async def replaced() -> bool:
            return not before & await ids(running)

        await running.until(replaced)
        await settle(running, count)
        served = book.served["web"]

        async def still_served() -> bool:
            return book.served["web"] > served + 20

        await running.until(still_served)
    assert running.said("rollout-completed")
