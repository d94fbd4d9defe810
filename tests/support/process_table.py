"""What the kernel's process table shows, by a mark in a command line or an environment."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path


def marked(mark: str) -> list[int]:
    """Process ids of the living that have the mark: children inherit it with the environment."""
    ids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in ids if mark.encode() in _read(pid, "cmdline") + _read(pid, "environ")]


def guards(mark: str) -> list[int]:
    """Those of them that are process guards."""
    return [pid for pid in marked(mark) if b"process_guard_program" in _read(pid, "cmdline")]


async def until_gone(mark: str) -> None:
    """Waits for all that have the mark to end; those that do not are told."""
    try:
        await until(lambda: not marked(mark), "nothing is left")
    except AssertionError as error:
        left = [f"{pid}: {_state(pid)}" for pid in marked(mark)]
        raise AssertionError("; ".join([str(error), *left])) from None


async def until(condition: Callable[[], object], what: str, deadline: float = 20.0) -> None:
    """Waits for a condition of the process table or of files, which nobody announces."""
    try:
        async with asyncio.timeout(deadline):
            while not condition():  # noqa: ASYNC110 - there is no event to await
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {deadline:g} s: {what}") from None


def _state(pid: int) -> str:
    fields = dict(line.split(":\t", 1) for line in _read(pid, "status").decode().splitlines())
    words = _read(pid, "cmdline").replace(b"\0", b" ")[-200:].decode("utf-8", "replace")
    return " ".join([*(fields.get(name, "?") for name in ("State", "PPid")), words])


def _read(pid: int, name: str) -> bytes:
    """Empty of a process that has ended, or that is not ours to look into."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""
