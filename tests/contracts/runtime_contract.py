"""What every InstanceRuntime must do, whatever runs the replicas. One suite, every driver.

A driver's test module subclasses `InstanceRuntimeContract` under a name that pytest collects,
overrides the fixtures `make_runtime` and `workloads` and the hook `kill`, and may override the
other hooks. Nothing here sleeps for luck: each case waits for a condition with a deadline.

Rules which the port's types cannot say, and which this suite fixes:
- the first hint of `watch` comes as soon as it listens and names no service, so that nobody
  misses what happens between listing and listening; `close` ends it;
- `tail` counts the lines of both streams together;
- following logs ends once the instance has ended and its last line was told;
- a call other than `stop` on an instance that is unknown (or another owner's) fails with
  `unknown-instance`; `stop` of it succeeds and touches nothing.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol, TypeVar

import pytest

from cluster.model import Address, Exit, Instance, InstanceStatus
from cluster.runtime import Hint, InstanceRuntime, LogLine, RuntimeFailure
from cluster.workload import Workload

DEADLINE = 20.0  # seconds: generous, because it only costs time when a rule is broken

T = TypeVar("T")
MakeRuntime = Callable[[str], InstanceRuntime]
OpenRuntime = Callable[[str], AbstractAsyncContextManager[InstanceRuntime]]


class Workloads(Protocol):
    """Replicas of known behaviour, and commands to run beside them."""

    def server(self) -> Workload:
        """Answers any HTTP/1 request on its port with a status 200; ends at once on SIGTERM."""

    def stubborn(self) -> Workload:
        """As `server`, but ignores SIGTERM."""

    def exits(self) -> Workload:
        """Ends with code 3 as soon as it runs."""

    def talker(self) -> Workload:
        """Writes `out 1` to `out 3` to stdout, `err 1` to `err 3` to stderr, then `beat 1`,
        `beat 2`, … to stdout, several a second; ends at once on SIGTERM."""

    def broken(self) -> Workload:
        """Cannot be started: its program or image does not exist."""

    def exit_with(self, code: int) -> Sequence[str]:
        """A command for `execute` on a `server` that ends with this code."""

    def lingering(self) -> Sequence[str]:
        """A command for `execute` on a `server` that takes longer than a minute."""


class InstanceRuntimeContract:
    # The event loops on which every case runs, by name.
    loops: ClassVar[Mapping[str, Callable[[], asyncio.AbstractEventLoop]]] = {
        "asyncio": asyncio.new_event_loop
    }
    broken_code = "start-failed"  # of the failure that starting `broken` raises
    adopts = True  # a second runtime of the same owner lists what the first one started
    cancel_after: tuple[float, ...] = (0, 0.001, 0.005, 0.02, 0.06)  # seconds into a start

    # What a driver's module gives.

    @pytest.fixture
    def make_runtime(self) -> MakeRuntime:
        """Makes a runtime of an owner, not yet opened; all of one test reach the same engine."""
        raise NotImplementedError

    @pytest.fixture
    def workloads(self) -> Workloads:
        raise NotImplementedError

    async def kill(self, runtime: InstanceRuntime, instance: Instance) -> None:
        """Makes the instance end from outside, as the engine's own tools or a crash would."""
        raise NotImplementedError

    async def answers(
        self, runtime: InstanceRuntime, instance: Instance, timeout: float = 1.0
    ) -> bool:
        """Whether a request to it is answered within `timeout` seconds."""
        assert instance.address is not None
        return await answers_http(instance.address, timeout)

    async def assert_nothing_left(self, owner: str) -> None:
        """Fails when the engine holds anything of this owner that `instances` does not show."""

    # What the suite builds from it.

    @pytest.fixture
    def owner(self) -> str:
        return f"contract-{uuid.uuid4().hex[:8]}"

    @pytest.fixture
    def open_runtime(self, make_runtime: MakeRuntime) -> OpenRuntime:
        @contextlib.asynccontextmanager
        async def opened(owner: str) -> AsyncIterator[InstanceRuntime]:
            runtime = make_runtime(owner)
            await runtime.open()
            try:
                yield runtime
            finally:
                for instance in await runtime.instances():
                    await runtime.stop(instance.id, grace=0)
                await runtime.close()

        return opened

    @pytest.fixture
    async def runtime(
        self, open_runtime: OpenRuntime, owner: str
    ) -> AsyncIterator[InstanceRuntime]:
        async with open_runtime(owner) as runtime:
            yield runtime

    async def serving(self, runtime: InstanceRuntime, instance: Instance) -> None:
        await eventually(lambda: self.answers(runtime, instance), f"{instance.replica} answers")

    # Starting.

    async def test_a_started_replica_is_listed_as_it_was_asked_for_and_answers(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        workload = workloads.server()
        started = await runtime.start("web-1", workload)
        assert (started.replica, started.service) == ("web-1", workload.service)
        assert started.revision == workload.revision
        assert started.status is InstanceStatus.RUNNING
        assert started.address is not None
        assert await runtime.instances() == [started]
        await self.serving(runtime, started)

    async def test_two_replicas_of_one_service_have_addresses_of_their_own(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        workload = workloads.server()
        first = await runtime.start("web-1", workload)
        second = await runtime.start("web-2", workload)
        assert first.id != second.id
        assert first.address != second.address
        await self.serving(runtime, first)
        await self.serving(runtime, second)

    async def test_starting_a_replica_again_returns_what_exists(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        first = await runtime.start("web-1", workloads.server())
        second = await runtime.start("web-1", workloads.server())
        assert (second.id, second.address) == (first.id, first.address)
        assert len(await runtime.instances()) == 1

    async def test_starting_a_replica_twice_at_once_makes_one_instance(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        first, second = await asyncio.gather(
            runtime.start("web-1", workloads.server()),
            runtime.start("web-1", workloads.server()),
        )
        assert (second.id, second.address) == (first.id, first.address)
        assert len(await runtime.instances()) == 1

    async def test_a_start_that_fails_says_why_and_leaves_nothing(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        with pytest.raises(RuntimeFailure) as failure:
            await runtime.start("web-1", workloads.broken())
        assert failure.value.code == self.broken_code
        assert failure.value.message
        assert not failure.value.transient
        assert await runtime.instances() == []
        await self.assert_nothing_left(owner)

    async def test_a_cancelled_start_leaves_nothing(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        for number, delay in enumerate(self.cancel_after):
            async with asyncio.TaskGroup() as group:
                start = group.create_task(runtime.start(f"web-{number}", workloads.server()))
                await asyncio.sleep(delay)
                start.cancel()
            if not start.cancelled():
                await runtime.stop(start.result().id, grace=0)
            assert await runtime.instances() == []
            await self.assert_nothing_left(owner)

    # Stopping.

    async def test_a_stopped_replica_is_gone_and_may_be_stopped_again(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await runtime.stop(instance.id, grace=DEADLINE)
        assert await runtime.instances() == []
        assert not await self.answers(runtime, instance)
        await runtime.stop(instance.id, grace=DEADLINE)
        await self.assert_nothing_left(owner)

    async def test_stopping_an_unknown_instance_succeeds(self, runtime: InstanceRuntime) -> None:
        await runtime.stop("no-such-instance", grace=DEADLINE)

    async def test_two_stops_at_once_both_succeed(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await asyncio.gather(
            runtime.stop(instance.id, grace=DEADLINE), runtime.stop(instance.id, grace=DEADLINE)
        )
        assert await runtime.instances() == []

    async def test_a_replica_that_heeds_sigterm_does_not_use_its_grace(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        assert await _seconds(runtime.stop(instance.id, grace=60)) < 10

    async def test_a_replica_that_ignores_sigterm_is_killed_after_its_grace(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.stubborn())
        await self.serving(runtime, instance)
        assert 0.99 <= await _seconds(runtime.stop(instance.id, grace=1)) < 10
        assert await runtime.instances() == []
        assert not await self.answers(runtime, instance)

    async def test_a_stopped_replica_may_be_started_anew(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        first = await runtime.start("web-1", workloads.server())
        await runtime.stop(first.id, grace=0)
        second = await runtime.start("web-1", workloads.server())
        assert second.id != first.id
        await self.serving(runtime, second)

    # Ending by itself.

    async def test_an_ended_replica_is_listed_with_its_code_until_stopped(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        started = await runtime.start("job-1", workloads.exits())
        ended = await self.ended(runtime, "job-1")
        assert (ended.id, ended.service) == (started.id, started.service)
        assert ended.exit is not None
        assert ended.exit.code == 3
        await runtime.stop(ended.id, grace=DEADLINE)
        assert await runtime.instances() == []
        await self.assert_nothing_left(owner)

    async def test_a_killed_replica_is_listed_as_ended(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await self.kill(runtime, instance)
        ended = await self.ended(runtime, "web-1")
        assert ended.exit is not None
        assert ended.exit.code != 0

    async def ended(self, runtime: InstanceRuntime, replica: str) -> Instance:
        await eventually(
            lambda: has_status(runtime, replica, InstanceStatus.EXITED), f"{replica} ended"
        )
        instance = await listed(runtime, replica)
        assert instance is not None
        assert isinstance(instance.exit, Exit)
        return instance

    # Watching.

    async def test_the_first_hint_says_look_everywhere(self, runtime: InstanceRuntime) -> None:
        async with asyncio.timeout(DEADLINE), watching(runtime) as hints:
            assert hints.empty()

    async def test_a_start_an_end_and_a_kill_are_hinted_at_with_the_service(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        server, job = workloads.server(), workloads.exits()
        async with watching(runtime) as hints:
            instance = await runtime.start("web-1", server)
            await self.hinted(runtime, hints, instance, InstanceStatus.RUNNING)
            await self.kill(runtime, instance)
            await self.hinted(runtime, hints, instance, InstanceStatus.EXITED)
            ended = await runtime.start("job-1", job)
            await self.hinted(runtime, hints, ended, InstanceStatus.EXITED)

    async def hinted(
        self,
        runtime: InstanceRuntime,
        hints: "asyncio.Queue[Hint]",
        instance: Instance,
        status: InstanceStatus,
    ) -> None:
        """Looking only when hinted at this service, one comes to see that status."""
        async with asyncio.timeout(5):
            while True:
                hint = await hints.get()
                if hint.service == instance.service and await has_status(
                    runtime, instance.replica, status
                ):
                    return

    async def test_closing_ends_a_watch(self, make_runtime: MakeRuntime, owner: str) -> None:
        runtime = make_runtime(owner)
        await runtime.open()
        async with asyncio.timeout(DEADLINE):
            async for hint in runtime.watch():
                assert hint.service is None
                await runtime.close()

    # Freezing.

    async def test_a_frozen_replica_is_silent_and_answers_again_once_thawed(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.freeze, "freeze")
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await runtime.freeze(instance.id)
        await runtime.freeze(instance.id)
        assert await has_status(runtime, "web-1", InstanceStatus.FROZEN)
        assert not await self.answers(runtime, instance, timeout=0.3)
        await runtime.thaw(instance.id)
        await runtime.thaw(instance.id)
        assert await has_status(runtime, "web-1", InstanceStatus.RUNNING)
        await self.serving(runtime, instance)

    async def test_a_frozen_replica_can_be_stopped_politely(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.freeze, "freeze")
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await runtime.freeze(instance.id)
        assert await _seconds(runtime.stop(instance.id, grace=60)) < 10
        assert await runtime.instances() == []

    async def test_a_call_on_an_unknown_instance_fails(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        calls: list[Awaitable[object]] = []
        if runtime.capabilities.freeze:
            calls += [runtime.freeze("no-such-instance"), runtime.thaw("no-such-instance")]
        if runtime.capabilities.exec:
            calls += [runtime.execute("no-such-instance", workloads.exit_with(0), timeout=5)]
        if runtime.capabilities.logs:
            calls += [first_lines(runtime.logs("no-such-instance"), 1)]
        for call in calls:
            with pytest.raises(RuntimeFailure) as failure:
                await call
            assert failure.value.code == "unknown-instance"

    # Owners and restarts of ours.

    async def test_owners_never_see_or_touch_each_others_replicas(
        self, runtime: InstanceRuntime, open_runtime: OpenRuntime, workloads: Workloads
    ) -> None:
        async with open_runtime(f"contract-{uuid.uuid4().hex[:8]}") as other:
            ours = await runtime.start("web-1", workloads.server())
            theirs = await other.start("web-1", workloads.server())
            assert [one.id for one in await runtime.instances()] == [ours.id]
            assert [one.id for one in await other.instances()] == [theirs.id]
            await other.stop(ours.id, grace=0)
            assert await has_status(runtime, "web-1", InstanceStatus.RUNNING)
            await self.serving(runtime, ours)

    async def test_replicas_outlive_a_close_and_are_found_again(
        self,
        make_runtime: MakeRuntime,
        open_runtime: OpenRuntime,
        workloads: Workloads,
        owner: str,
    ) -> None:
        self.needs(self.adopts, "adoption")
        former = make_runtime(owner)
        await former.open()
        started = await former.start("web-1", workloads.server())
        await former.close()
        async with open_runtime(owner) as runtime:
            assert await runtime.instances() == [started]
            again = await runtime.start("web-1", workloads.server())
            assert again.id == started.id
            await self.serving(runtime, started)
            await runtime.stop(started.id, grace=DEADLINE)
            assert not await self.answers(runtime, started)
        await self.assert_nothing_left(owner)

    # Looking inside.

    async def test_logs_tell_the_last_lines_of_both_streams(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.logs, "logs")
        instance = await runtime.start("talk-1", workloads.talker())

        async def spoke() -> bool:
            told = [line async for line in runtime.logs(instance.id, tail=1000)]
            return any(line.text.startswith("beat") for line in told)

        await eventually(spoke, "the talker's lines are told")
        told = [line async for line in runtime.logs(instance.id, tail=1000)]
        assert {line.replica for line in told} == {"talk-1"}
        assert texts(told, "stdout")[:4] == ["out 1", "out 2", "out 3", "beat 1"]
        assert texts(told, "stderr") == ["err 1", "err 2", "err 3"]
        assert len([line async for line in runtime.logs(instance.id, tail=2)]) == 2

    async def test_followed_logs_tell_new_lines_and_end_with_the_replica(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.logs, "logs")
        instance = await runtime.start("talk-1", workloads.talker())
        lines = runtime.logs(instance.id, tail=1000, follow=True)
        async with asyncio.timeout(DEADLINE):
            told = await first_lines(lines, 10)
            assert texts(told, "stdout")[:4] == ["out 1", "out 2", "out 3", "beat 1"]
            await self.kill(runtime, instance)
            told += [line async for line in lines]
        beats = [text for text in texts(told, "stdout") if text.startswith("beat")]
        assert beats == [f"beat {number}" for number in range(1, len(beats) + 1)]

    async def test_a_command_beside_a_replica_gives_its_code(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.exec, "exec")
        instance = await runtime.start("web-1", workloads.server())
        assert await runtime.execute(instance.id, workloads.exit_with(0), timeout=DEADLINE) == 0
        assert await runtime.execute(instance.id, workloads.exit_with(7), timeout=DEADLINE) == 7

    async def test_a_command_that_takes_too_long_is_a_timeout(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.exec, "exec")
        instance = await runtime.start("web-1", workloads.server())
        with pytest.raises(RuntimeFailure) as failure:
            await runtime.execute(instance.id, workloads.lingering(), timeout=0.3)
        assert failure.value.code == "timeout"

    def needs(self, ability: bool, name: str) -> None:
        if not ability:
            pytest.skip(f"this driver does not offer {name}")


async def eventually(check: Callable[[], Awaitable[T]], what: str) -> T:
    """The first true answer of `check`, asked again and again until the deadline."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not (answer := await check()):  # noqa: ASYNC110 - engines have no event to await
                await asyncio.sleep(0.01)
            return answer
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE:g} s: {what}") from None


async def answers_http(address: Address, timeout: float = 1.0) -> bool:
    """Whether a request to this address is answered with any HTTP status within `timeout`."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: contract\r\nConnection: close\r\n\r\n")
                return (await reader.read(5)).startswith(b"HTTP/")
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return False


async def listed(runtime: InstanceRuntime, replica: str) -> Instance | None:
    found = [one for one in await runtime.instances() if one.replica == replica]
    assert len(found) <= 1
    return found[0] if found else None


async def has_status(runtime: InstanceRuntime, replica: str, status: InstanceStatus) -> bool:
    instance = await listed(runtime, replica)
    return instance is not None and instance.status is status


@contextlib.asynccontextmanager
async def watching(runtime: InstanceRuntime) -> AsyncIterator["asyncio.Queue[Hint]"]:
    """Hints as they come, beginning after the first one, which names no service."""
    hints: asyncio.Queue[Hint] = asyncio.Queue()

    async def pump() -> None:
        async for hint in runtime.watch():
            hints.put_nowait(hint)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(pump())
        assert await hints.get() == Hint(None)
        yield hints
        task.cancel()


async def first_lines(lines: AsyncIterator[LogLine], count: int) -> list[LogLine]:
    told: list[LogLine] = []
    async for line in lines:
        told.append(line)
        if len(told) == count:
            break
    return told


def texts(lines: Sequence[LogLine], stream: str) -> list[str]:
    return [line.text for line in lines if line.stream == stream]


async def _seconds(work: Awaitable[None]) -> float:
    clock = asyncio.get_running_loop().time
    before = clock()
    await work
    return clock() - before
