"""Imported by every Python that is started with this folder on its path: notes each pause that the
garbage collector makes, and writes them down at the end."""

import atexit
import gc
import os
import time
from pathlib import Path

_begun = 0.0
_lines: list[str] = []


def _note(phase: str, facts: dict[str, int]) -> None:
    global _begun
    if phase == "start":
        _begun = time.perf_counter()
    else:
        took = time.perf_counter() - _begun
        _lines.append(f"{facts['generation']} {_begun:.9f} {took:.9f} {facts['collected']}\n")


def _write() -> None:
    Path(os.environ["PAUSES_TO"], f"{os.getpid()}.txt").write_text("".join(_lines))


if "PAUSES_TO" in os.environ:
    gc.callbacks.append(_note)
    atexit.register(_write)
