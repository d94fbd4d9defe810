"""A control group with a memory limit, for a process that is started into it."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.cgroup import ROOT, table

_V1 = ROOT / "memory"


@dataclass(frozen=True, slots=True)
class ControlGroup:
    folder: Path

    def limit(self, size: int) -> None:
        """In bytes, from now on; swap would only make it slow."""
        name = "memory.limit_in_bytes" if _V1.is_dir() else "memory.max"
        (self.folder / name).write_text(str(size))

    def used(self) -> int:
        """Bytes that are not the kernel's to take back."""
        if _V1.is_dir():
            stat = table(self.folder / "memory.stat")
            return stat["total_rss"] + stat["total_mapped_file"]
        return table(self.folder / "memory.stat")["anon"]

    def kills(self) -> int:
        """Processes in it that were killed for lack of memory."""
        name = "memory.oom_control" if _V1.is_dir() else "memory.events"
        return table(self.folder / name)["oom_kill"]


@contextlib.contextmanager
def control_group() -> Iterator[ControlGroup]:
    """Empty, and gone afterwards, once its last process is."""
    folder = (_V1 if _V1.is_dir() else ROOT) / f"tidegate-test-{uuid.uuid4().hex[:10]}"
    try:
        folder.mkdir()
        if not _V1.is_dir() and not (folder / "memory.max").exists():
            (ROOT / "cgroup.subtree_control").write_text("+memory")
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no control group of one's own can be made here: {error}")
    try:
        yield ControlGroup(folder)
    finally:
        # A process that has ended leaves its group a moment later.
        for _ in range(500):
            with contextlib.suppress(OSError):
                folder.rmdir()
            if not folder.exists():
                break
            time.sleep(0.02)
        else:
            raise AssertionError(f"{folder} has processes still")
