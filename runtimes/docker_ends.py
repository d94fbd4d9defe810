"""The ends of containers as the kernel tells them, for an engine on this machine.

The engine tells of an end when it has taken the container's network apart: a tenth of a second
later, a second where it is busy. So the main process of each container that runs is held by a
pidfd, one descriptor each. Only what is known in full is told in full: the exit code, and whether
memory ran out. Of any other end it is told that it happened, and the engine says how.

What is not to be seen here (an engine in a virtual machine or far away, /proc of another) is left
to the engine.
"""

import asyncio
import contextlib
import os
import select
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cluster import descriptors
from cluster.model import Exit
from cluster.runtime import RuntimeFailure
from runtimes.docker_cgroup import holds, kills_of_all, out_of_memory
from runtimes.docker_view import signal_in
from runtimes.exit_status import exit_code_of
from runtimes.labels import SERVICE

Facts = Mapping[str, Any]
_ID_LENGTH = 64  # of a container's id; an abbreviation could be part of another one


@dataclass(frozen=True, slots=True)
class Held:
    """A container that runs. `memory` is its limit in bytes, where there is one; `kills` is how
    many processes of this machine lack of memory had killed before, None where it may be one."""

    id: str
    service: str | None
    pid: int
    descriptor: int
    memory: int | None
    kills: int | None


class Ends:
    """`told(container, exit)` is called in the moment a container ends; `exit` None: ask the engine
    how."""

    def __init__(self, told: Callable[[Held, Exit | None], None]) -> None:
        self._told = told
        self._held: dict[str, Held] = {}
        # Of those that are left to the engine: which main process had ended, 0 where none had.
        self._left: dict[str, int] = {}
        self._unheld: list[str] = []
        self._some_unheld = asyncio.Event()

    def hold(self, facts: Facts) -> None:
        """An inspected container, if it runs here."""
        id, state = facts["Id"], facts["State"]
        if id in self._held or id in self._left or not state.get("Running"):
            return
        descriptor = _main_process(id, state.get("Pid") or 0)
        if descriptor is None:
            self._left[id] = 0
            return
        self._held[id] = Held(
            id=id,
            service=(facts["Config"].get("Labels") or {}).get(SERVICE),
            pid=state["Pid"],
            descriptor=descriptor,
            memory=(facts.get("HostConfig") or {}).get("Memory") or None,
            kills=_kills_before(id, descriptor),
        )
        asyncio.get_running_loop().add_reader(descriptor, self._end, id)

    def let_go(self, id: str) -> None:
        """It is being ended by us: that is no news. Until it starts again."""
        held = self._held.pop(id, None)
        if held is not None:
            _close(held)
        self._left.setdefault(id, 0)

    def starts(self, id: str) -> None:
        """It has another main process from now on, or will have."""
        self._left.pop(id, None)

    def seen(self, all: Collection[str], running: Collection[str]) -> None:
        """What there is: those that run and are not held yet will be, see `hold_others`."""
        self._left = {id: pid for id, pid in self._left.items() if id in all}
        self._unheld = [
            id
            for id in running
            if len(id) == _ID_LENGTH and id not in self._held and id not in self._left
        ]
        if self._unheld:
            self._some_unheld.set()

    async def hold_others(self, inspect: Callable[[str], Awaitable[Facts]]) -> None:
        """For ever: those that somebody else has started, one after the other because nobody waits
        for it."""
        while True:
            await self._some_unheld.wait()
            self._some_unheld.clear()
            for id in self._unheld:
                # An engine in trouble is asked again after its next listing.
                with contextlib.suppress(RuntimeFailure):
                    self.hold(await inspect(id))

    def has_ended(self, facts: Facts) -> bool:
        """Whether the main process of an inspected container is no more, and the engine says that
        it runs."""
        state = facts["State"]
        pid = state.get("Pid") if state.get("Running") else None
        return bool(pid) and self._left.get(facts["Id"]) == pid

    def close(self) -> None:
        for id in list(self._held):
            self.let_go(id)
        self._left.clear()

    def _end(self, id: str) -> None:
        held = self._held.pop(id)
        self._left[id] = held.pid
        try:
            exit = _exit_of(held)
        finally:
            _close(held)
        self._told(held, exit)


def _main_process(id: str, pid: int) -> int | None:
    """Its pidfd; None where it is not to be seen, or where descriptors are few."""
    if pid <= 0 or len(id) != _ID_LENGTH:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    # A process number of another machine means nothing here, or somebody else.
    if descriptor < descriptors.for_clients() and holds(id, pid):
        return descriptor
    os.close(descriptor)
    return None


def _kills_before(id: str, descriptor: int) -> int | None:
    """Those before this one's. It may have been killed while it started: then it is among them."""
    kills = kills_of_all()
    told = out_of_memory(id)
    if told or (told is None and _has_ended(descriptor)):
        return None
    return kills


def _has_ended(descriptor: int) -> bool:
    look = select.poll()
    look.register(descriptor, select.POLLIN)
    return bool(look.poll(0))


def _close(held: Held) -> None:
    asyncio.get_running_loop().remove_reader(held.descriptor)
    os.close(held.descriptor)


def _exit_of(held: Held) -> Exit | None:
    code, oom = exit_code_of(held.pid, held.descriptor), _ran_out(held)
    if code is None or oom is None:
        return None
    return Exit(code=signal_in(code), oom=oom, memory=held.memory)


def _ran_out(held: Held) -> bool | None:
    """Its group tells, but that goes soon after the end. Where nobody at all was killed for memory
    meanwhile, neither was this one."""
    told = out_of_memory(held.id)
    if told is None and held.kills is not None and held.kills == kills_of_all():
        return False
    return told
