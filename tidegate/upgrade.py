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


class Upgrade:
    """`rest` brings us to rest and returns the sockets of the admin API, or raises Refused and
    leaves all as it was; `resume` undoes it. `is_done` is set once the new one is in charge."""

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
        self._under_way = False
        self.is_done = asyncio.Event()
        self.pid = 0  # of the new one

    async def __call__(self) -> UpgradeResult:
        if self._under_way or self.is_done.is_set():
            return UpgradeResult(False, 0, "an upgrade is under way already")
        if os.getpid() == INIT:
            why = "it is the first process of its container, which ends with it: replace that"
            return UpgradeResult(False, 0, why)
        self._under_way = True
        try:
            return await self._replaced()
        finally:
            self._under_way = False

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
        is_resting = False
        try:
            await self._check(ours)
            admin = await self._rest()
            is_resting = True
            handing.say(ours, "go", admin, admin=self._admin_listen)
            async with asyncio.timeout(READY_DEADLINE):
                await _hear(ours, "ready")
        except (Refused, Abandoned, TimeoutError, OSError) as error:
            # It must have ended before we act again.
            _end(process)
            if is_resting:
                await self._resume()
            return str(error) or "it was not ready in time; its log says more"
        return None

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
