"""A Docker engine of the test's own, which may be restarted, stopped and killed.

    async with own_engine(live_restore=True) as engine:      # or the fixture `own_engine`
        app = await engine.build_app()       # the test application's image is built into it
        runtime = DockerRuntime(owner, url=engine.url)   # in a file: {docker: {url: …}}
        await engine.stop()                  # SIGTERM, as `systemctl stop docker`
        await engine.start()                 # answers when it returns
        await engine.kill()                  # SIGKILL of dockerd; its containers run on
        await engine.restart()               # stop and start

It has its own data, sockets, containerd, bridge and subnet, and leaves the host's packet filter
alone, so it does not touch the engine that others use. Its containers can be reached from the
host, not from outside, and no port can be published. Without `live_restore`, containers end when
it stops, and those that outlived a SIGKILL are killed when it starts again; with it they run on.
Starting takes about a second. Needs root and `dockerd`; the fixture skips where they are missing
(with TIDEGATE_REQUIRE_DOCKER=1 it fails). Nothing stays behind.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiodocker
import pytest

from tests.support import bridges
from tests.support.docker_engine import App, build_app, engine

DEADLINE = 30.0
_SUBNETS = "10.213"
_DIE_WITH_PARENT = 1  # prctl(2): PR_SET_PDEATHSIG
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class OwnEngine:
    """`folder` holds all that it has. `url` stays the same over restarts."""

    folder: Path
    bridge: str
    live_restore: bool = False
    _daemon: "asyncio.subprocess.Process | None" = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def pid(self) -> int:
        """Of dockerd, while it runs."""
        assert self._daemon is not None, "the engine is not running"
        return self._daemon.pid

    async def start(self) -> None:
        """Returns when it answers."""
        assert self._daemon is None, "the engine is running already"
        await asyncio.to_thread(self._forget_former)
        with (self.folder / "log").open("ab") as log:
            self._daemon = await asyncio.create_subprocess_exec(
                *self._command(), stdout=log, stderr=log, preexec_fn=_die_with_parent
            )
        try:
            async with asyncio.timeout(DEADLINE):
                while not await self._answers():
                    assert self._daemon.returncode is None, "dockerd has ended"
                    await asyncio.sleep(0.02)
        except (TimeoutError, AssertionError) as error:
            raise AssertionError(f"the engine did not start: {self.told()}") from error

    async def stop(self, within: float = DEADLINE) -> None:
        """SIGTERM, and wait for its end."""
        await self._end(signal.SIGTERM, within)

    async def kill(self) -> None:
        """SIGKILL. Its containerd goes with it; the containers do not."""
        await self._end(signal.SIGKILL, DEADLINE)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def build_app(self) -> App:
        """The test application (tests/support/replica_app.py)."""
        return await build_app(self.url)

    def told(self) -> str:
        """The end of its log."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    async def _end(self, number: int, within: float) -> None:
        assert self._daemon is not None, "the engine is not running"
        self._daemon.send_signal(number)
        async with asyncio.timeout(within):
            await self._daemon.wait()
        self._daemon = None

    async def _answers(self) -> bool:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5), engine(self.url) as docker:
                await docker.version()
                return True
        return False

    def _command(self) -> list[str]:
        here = str(self.folder)
        return [
            "dockerd",
            *("--data-root", f"{here}/data", "--exec-root", f"{here}/exec"),
            *("--host", self.url, "--pidfile", f"{here}/pid", "--bridge", self.bridge),
            # Two engines on one host would take each other's chains away. (And `--bridge none`
            # would take away docker0, which is the other engine's.)
            *("--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"),
            *("--containerd-namespace", self.bridge),
            *("--containerd-plugins-namespace", f"{self.bridge}-plugins"),
            *("--shutdown-timeout", "3", "--log-level", "warn"),
            *(["--live-restore"] if self.live_restore else []),
        ]

    def _forget_former(self) -> None:
        """A killed engine's notes of who runs; a number in them may be somebody else's by now."""
        for note in (self.folder / "pid", self.folder / "exec/containerd/containerd.pid"):
            note.unlink(missing_ok=True)

    async def clear(self) -> None:
        """Take away all containers, then the engine, then its files."""
        if self._daemon is None:
            await self.start()
        for _ in range(3):
            try:
                await self._remove_all()
                break
            except TimeoutError:
                # It can hang on a container that it stopped or restored; another one does not.
                await self.kill()
                await self.start()
        else:
            raise AssertionError(f"the engine's containers do not go: {self.told()}")
        await self.stop()

    async def _remove_all(self) -> None:
        async with asyncio.timeout(DEADLINE / 2), engine(self.url) as docker:
            while left := await docker.containers.list(all=True):
                for container in left:
                    with contextlib.suppress(aiodocker.DockerError):  # being removed already
                        await container.delete(force=True, v=True)


@contextlib.asynccontextmanager
async def own_engine(*, live_restore: bool = False) -> AsyncIterator[OwnEngine]:
    """Started; gone with all that it ran when the block ends."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="tide-engine-", dir="/tmp"))
    bridge = f"tide{uuid.uuid4().hex[:8]}"
    own = OwnEngine(folder, bridge, live_restore)
    try:
        await asyncio.to_thread(_make_bridge, bridge)
        await own.start()
        yield own
    finally:
        try:
            await own.clear()
        finally:
            await asyncio.to_thread(_take_away, own)


@pytest.fixture(name="own_engine")
async def own_engine_fixture() -> AsyncIterator[OwnEngine]:
    """Without live restore."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        refuse = pytest.fail if os.environ.get("TIDEGATE_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("an engine of its own needs root and dockerd")
    async with own_engine() as own:
        yield own


def _make_bridge(name: str) -> None:
    taken = bridges.ip("-o", "-4", "addr").stdout
    free = (f"{_SUBNETS}.{number}" for number in range(1, 255))
    bridges.make(name, next(one for one in free if f" {one}." not in taken))


def _take_away(own: OwnEngine) -> None:
    bridges.ip("link", "del", own.bridge)
    _end_shims(own.bridge)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place = line.split()[1]
        if place.startswith(f"{own.folder}/"):
            subprocess.run(["umount", "--lazy", place], check=False, timeout=DEADLINE)
    shutil.rmtree(own.folder)


def _end_shims(namespace: str) -> None:
    """A killed engine can leave one behind whose container is gone. What is being killed can still
    write into the engine's folder."""
    deadline = time.perf_counter() + DEADLINE
    while left := _shims_of(namespace):
        assert time.perf_counter() < deadline, f"shims do not end: {left}"
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _shims_of(namespace: str) -> list[int]:
    """Those that live: who has ended has no command line any more."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"-namespace\0{namespace}\0".encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def _die_with_parent() -> None:
    """A killed test run leaves no engine behind."""
    _libc.prctl(_DIE_WITH_PARENT, signal.SIGTERM)
