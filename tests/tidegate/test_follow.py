"""Several replicas' output as one stream: whole, ended by the last, and told what went wrong."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.runtime import LogLine, RuntimeFailure
from tidegate.follow import merged, while_there

GONE = RuntimeFailure("unknown-instance", "there is no such process")
AWAY = RuntimeFailure("engine-unavailable", "no engine", transient=True)


async def lines(replica: str, count: int, then: Exception | None = None) -> AsyncIterator[LogLine]:
    for number in range(count):
        yield LogLine(replica, "stdout", f"{number}")
        await asyncio.sleep(0)
    if then is not None:
        raise then


async def endless(closed: list[str]) -> AsyncIterator[LogLine]:
    try:
        yield LogLine("endless", "stdout", "0")
        await asyncio.Event().wait()
    finally:
        closed.append("endless")


async def test_all_lines_come_and_those_of_one_replica_in_their_order() -> None:
    seen = [line async for line in merged([lines("a", 3), lines("b", 5), lines("c", 0)])]
    assert len(seen) == 8
    assert [line.text for line in seen if line.replica == "b"] == ["0", "1", "2", "3", "4"]


async def test_a_failure_is_raised_as_itself_and_ends_the_others() -> None:
    """A caller tells failures of an engine from bugs by their type."""
    closed: list[str] = []
    with pytest.raises(RuntimeFailure) as failure:
        async for _ in merged([endless(closed), lines("b", 2, AWAY)]):
            pass
    assert failure.value is AWAY
    assert closed == ["endless"]


async def test_a_replica_that_is_gone_has_nothing_more_to_say() -> None:
    sources = [while_there(lines("a", 2, GONE)), while_there(lines("b", 3))]
    seen = [line async for line in merged(sources)]
    assert sorted(line.replica for line in seen) == ["a", "a", "b", "b", "b"]


async def test_any_other_failure_of_a_replica_is_told() -> None:
    with pytest.raises(RuntimeFailure, match="no engine"):
        [line async for line in while_there(lines("a", 1, AWAY))]


async def test_who_stops_listening_leaves_no_task_behind() -> None:
    closed: list[str] = []
    stream = merged([endless(closed)])
    assert (await anext(stream)).replica == "endless"
    assert hasattr(stream, "aclose")
    await stream.aclose()
    assert closed == ["endless"]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
