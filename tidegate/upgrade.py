"""Another process takes our place, with the code and the file of now, and no client notices.

The new one first shows that it can: loads its code, checks its file. Only then do we stop to act,
leave our locks, and let it adopt what runs and take over the gateways, which serve all the while.
When it says that it is ready, we go. If it fails before that, we go on as if nothing had been.
"""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from admin.ports import UpgradeResult
from tidegate import handing
from tidegate.handing import Abandoned

log = logging.getLogger("tidegate.upgrade")

PREPARE_DEADLINE = 60.0
READY_DEADLINE = 90.0
INIT = 1


class Refused(Exception):
    """We cannot be replaced now; nothing was done. The text says what to do."""


class Lost(Exception):
    """A third one has our place; the text says why it cannot be had back."""


class Upgrade:
    """`rest` brings us to rest and returns the sockets of the admin API, or raises and leaves all
    as it was; `resume` undoes it, or raises Lost. `is_done` is set once the new one is in charge,
    `is_lost` once neither of us can be."""

    def __init__(
        self,
        owner: str,
        state_dir: str,
        admin_listen: str,
        rest: Callable[[], Awaitable[Sequence[socket.socket]]],
        resume: Callable[[], Awaitable[None]],
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`environment` is for the new process, beyond ours."""
        self._environment = environment
        self._identity = {"owner": owner, "state_dir": state_dir}
        self._admin_listen = admin_listen
        self._rest = rest
        self._resume = resume
        self._is_ending = False
        self._is_resting = False
        self._trial: asyncio.Task[None] | None = None
        self._over = asyncio.Event()  # none is under way
        self._over.set()
        self.is_done = asyncio.Event()
        self.is_lost = asyncio.Event()
        self.pid = 0  # of the new one

    async def __call__(self) -> UpgradeResult:
        if self._is_ending or self.is_lost.is_set():
            return UpgradeResult(False, 0, "Tidegate is about to end")
        if not self._over.is_set() or self.is_done.is_set():
            return UpgradeResult(False, 0, "an upgrade is under way already")
        if os.getpid() == INIT:
            why = "it is the first process of its container, which ends with it: replace that"
            return UpgradeResult(False, 0, why)
        self._over.clear()
        try:
            return await self._replaced()
        except Lost as lost:
            log.error("the upgrade failed, and so does this process: %s", lost)
            self.is_lost.set()
            return UpgradeResult(False, 0, str(lost))
        except OSError as error:
            return UpgradeResult(False, 0, f"the new process cannot be started: {error}")
        finally:
            self._over.set()

    async def abandon(self) -> None:
        """We end, and who is to replace us with us, unless it is in charge already. Afterwards all
        is ours, and stays so."""
        self._is_ending = True
        if self._trial is not None:
            self._trial.cancel()
        await self._over.wait()

    async def _replaced(self) -> UpgradeResult:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            with theirs:
                process = _spawned(theirs, self._environment)
            why = await self._why_not(ours, process)
        if why is not None:
            log.error("the upgrade failed, all is as it was: %s", why)
            return UpgradeResult(False, 0, why)
        process.returncode = 0  # it is on its own: the object shall neither wait for it nor warn
        self.pid = process.pid
        self.is_done.set()
        return UpgradeResult(True, process.pid)

    async def _why_not(self, ours: socket.socket, process: "subprocess.Popen[bytes]") -> str | None:
        """None: it is in charge. Otherwise it has ended, and we are."""
        trial = asyncio.get_running_loop().create_task(self._try(ours), name="be replaced")
        self._trial = trial
        if self._is_ending:
            trial.cancel()
        await asyncio.wait([trial])
        self._trial = None
        error = None if trial.cancelled() else trial.exception()
        if not trial.cancelled() and error is None:
            return None
        # It must have ended before we act again.
        _end(process)
        if self._is_resting:
            self._is_resting = False
            await self._resume()
        match error:
            case None:
                return "Tidegate was told to stop"
            case Refused() | Abandoned() | TimeoutError() | OSError():
                return str(error) or "it was not ready in time; its log says more"
            case _:
                raise error

    async def _try(self, ours: socket.socket) -> None:
        await self._check(ours)
        admin = await self._rest()
        self._is_resting = True
        handing.say(ours, "go", admin, admin=self._admin_listen)
        async with asyncio.timeout(READY_DEADLINE):
            await _hear(ours, "ready")

    async def _check(self, ours: socket.socket) -> None:
        async with asyncio.timeout(PREPARE_DEADLINE):
            told = await _hear(ours, "prepared")
        for key, value in self._identity.items():
            if told.get(key) != value:
                raise Refused(f"`{key}` has changed in the file: stop Tidegate and start it anew")


async def _hear(ours: socket.socket, word: str) -> Mapping[str, Any]:
    data = await asyncio.get_running_loop().sock_recv(ours, 64 * 1024)
    told = handing.heard(data)
    if told["word"] != word:
        raise Abandoned(str(told.get("why") or f'it said "{told["word"]}"'))
    return told


def _spawned(theirs: socket.socket, more: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, *sys.orig_argv[1:]],
        pass_fds=[theirs.fileno()],
        env={**os.environ, **more, handing.VARIABLE: str(theirs.fileno())},
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
