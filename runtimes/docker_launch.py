"""One start of one replica: create, start, look for its address; and nothing left when it fails.

No call is made that the start does not need, because a client is waiting for it.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.model import Instance, InstanceStatus
from cluster.runtime import RuntimeFailure
from runtimes.docker_engine import Engine, NameTaken
from runtimes.docker_spec import Spec
from runtimes.docker_view import inspected, mark_in
from runtimes.labels import OWNER, REPLICA


@dataclass(slots=True)
class Launch:
    """`networks` are joined beside the one in `spec`; `made` is what we must not leave behind."""

    engine: Engine
    name: str
    spec: Spec
    networks: Sequence[str]
    publish_on: str | None
    made: str | None = None
    taken: bool = False  # the name: by an earlier start of this replica, or by a stranger
    facts: dict[str, Any] = field(default_factory=dict)  # of the started container

    async def run(self) -> Instance:
        """The started instance. Raises RuntimeFailure."""
        try:
            # Cut off in the middle, the engine would go on and make what nobody knows of.
            await to_the_end(self._create(), f"create {self.name}")
            if self.taken:
                return await self._adopt()
            for network in self.networks:  # API 1.41 takes only one at creation
                await self.engine.join(self.name, network)
            return await self._start()
        except BaseException:
            await to_the_end(self._undo(), f"remove {self.name}")
            raise

    async def _create(self) -> None:
        try:
            self.made = await self.engine.create(self.name, self.spec)
        except NameTaken:
            self.taken = True

    async def _start(self) -> Instance:
        await self.engine.start(self.made or self.name)
        return self._started(await self.engine.inspect(self.made or self.name))

    def _started(self, facts: dict[str, Any]) -> Instance:
        instance = inspected(facts, self._label(OWNER), self.publish_on)
        if instance is None:
            raise self._gone()
        if instance.address is None and instance.status is not InstanceStatus.EXITED:
            mode = facts["HostConfig"]["NetworkMode"]
            raise RuntimeFailure("bad-workload", f'a replica has no address on network "{mode}"')
        self.facts = facts
        return instance

    async def _adopt(self) -> Instance:
        """What an earlier start of the same replica made, of which we may not have heard."""
        try:
            facts = await self.engine.inspect(self.name)
        except RuntimeFailure as failure:
            raise self._gone() if failure.code == "unknown-instance" else failure from failure
        if not self._is_this_replica(facts):
            raise RuntimeFailure(
                "start-failed",
                f"the name {self.name} is taken by a container that is not ours; "
                f"rename it: docker rename {self.name} NAME",
            )
        if facts["State"]["Status"] == "created":
            return await self._start()
        return self._started(facts)

    async def _undo(self) -> None:
        """What was there before us stays; and one may have been made though no answer came."""
        if self.taken:
            return
        with contextlib.suppress(RuntimeFailure):
            if self.made or self._is_this_replica(await self.engine.inspect(self.name)):
                await self.engine.remove(self.made or self.name)

    def _gone(self) -> RuntimeFailure:
        return RuntimeFailure(
            "start-failed", f"{self.name} is being made or removed by somebody else", transient=True
        )

    def _is_this_replica(self, facts: dict[str, Any]) -> bool:
        mark = mark_in(facts, self._label(OWNER))
        return mark is not None and mark.replica == self._label(REPLICA)

    def _label(self, key: str) -> str:
        return str(self.spec["Labels"][key])


async def to_the_end(work: Coroutine[Any, Any, None], name: str) -> None:
    """Await `work` until it is done, whoever cancels; the cancellation is raised afterwards."""
    # Not in a TaskGroup: that would cut off its tasks when we are cancelled.
    task = asyncio.get_running_loop().create_task(work, name=name)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        with contextlib.suppress(RuntimeFailure, asyncio.CancelledError):
            task.result()
        raise cancelled
    task.result()
