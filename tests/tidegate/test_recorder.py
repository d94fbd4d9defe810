"""What is recorded of a running Tidegate, and that nothing suffers when it cannot be written."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cluster.events import Events
from cluster.lifecycle import Event, State
from cluster.messages import LoadReport
from cluster.model import Address, Replica, Usage
from cluster.registry import Registry
from config.service import Service
from config.settings import Recording as Settings_
from config.settings import Settings
from recording.reader import Recording
from recording.schema import NAME
from tests.recording.reports import NOON, report
from tidegate import recorder as module
from tidegate.recorder import Recorder, RecorderMetrics


class Recorded:
    """A Recorder whose clocks are set by the test: loop time 0 is NOON."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.path = folder / NAME
        self.registry = Registry()
        self.events = Events(lambda: NOON + self.now)
        self.collectors = CollectorRegistry()
        services = {name: Service(name=name, record=name != "other") for name in ("web", "other")}
        self.settings = Settings(owner="test", state_dir=str(folder), services=services)
        self.registry.configure(services)
        self.recorder = Recorder(
            folder, self.settings, self.registry, self.events, RecorderMetrics(self.collectors),
            lambda: self.now, lambda: NOON + self.now,
        )  # fmt: skip

    def report(self, at: float, requests: int = 1, **facts: object) -> None:
        self.now = at
        self.recorder.report(report(at, requests=requests, **facts))

    def replica(self, name: str, service: str = "web", *, adopted: bool = False) -> None:
        self.registry.add(
            Replica(
                name, service, "r", State.STARTING, NOON, self.now, f"i-{name}",
                Address("127.0.0.1", 1), adopted=adopted,
            )
        )  # fmt: skip

    def requests(self) -> int:
        with Recording(self.path) as recording:
            return sum(one.requests for one in recording.arrivals())

    def told(self) -> list[str]:
        kept = self.events.since(0)
        return [one.message for one in kept if one.kind == "recording-failed"]

    def metric(self, name: str) -> float:
        lines = generate_latest(self.collectors).decode().splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
        return float(value)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


async def test_all_is_written_at_the_end(recorded: Recorded) -> None:
    recorded.report(1.0, 3)
    recorded.report(1.5, 4)
    await recorded.recorder.close()
    assert [file.name for file in recorded.path.parent.iterdir()] == [NAME]
    assert recorded.requests() == 7


async def test_without_recorded_services_there_is_no_file(recorded: Recorded) -> None:
    recorded.recorder.report(LoadReport("other", 1.0, 1.0, 0.5, 7, 0, 1, 0))
    await recorded.recorder.flush()
    await recorded.recorder.close()
    assert list(recorded.path.parent.iterdir()) == []


async def test_it_is_written_while_it_goes_on_and_no_longer(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    recorded.report(1.0, 3)
    recorded.now = 100.0
    async with asyncio.TaskGroup() as group:
        running = group.create_task(recorded.recorder.run())
        async with asyncio.timeout(30):
            while recorded.recorder._has_news.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert recorded.requests() == 3
        recorded.report(101.0, 2)
        recorded.now = 200.0
        async with asyncio.timeout(30):
            while recorded.recorder._has_news.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
    assert recorded.requests() == 5
    await recorded.recorder.close()


async def test_a_broken_file_is_told_once_and_nothing_is_lost(recorded: Recorded) -> None:
    recorded.path.write_bytes(b"this is no database, whatever it is called" * 100)
    recorded.report(1.0, 3)
    for at in (10.0, 20.0, 30.0):
        recorded.now = at
        await recorded.recorder.flush()
    (told,) = recorded.told()
    assert "is damaged" in told
    assert "move it away" in told
    assert recorded.metric("tidegate_recording_errors_total") == 3
    recorded.path.unlink()
    recorded.report(31.0, 2)
    await recorded.recorder.close()
    assert recorded.requests() == 5
    assert recorded.metric("tidegate_recording_lost_total") == 0
    assert len(recorded.told()) == 1


async def test_what_waits_for_too_long_is_given_up_and_counted(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    recorded.path.mkdir()
    for at in range(1, 31):
        recorded.report(float(at))
    recorded.now = 60.0
    await recorded.recorder.flush()
    assert "Is a directory" in recorded.told()[0]
    assert recorded.metric("tidegate_recording_lost_total") == 20
    recorded.path.rmdir()
    await recorded.recorder.close()
    assert recorded.requests() == 10


async def test_how_long_starts_took_and_how_they_ended(recorded: Recorded) -> None:
    ends = (("a", Event.PASSED, 2.0), ("b", Event.EXITED, 3.0), ("c", Event.DRAIN, 0.5))
    for name, event, took in ends:
        recorded.replica(name)
        recorded.now += took
        recorded.registry.advance(name, event, "", recorded.now)
    recorded.replica("of-another", "other")
    recorded.registry.advance("of-another", Event.PASSED, "", recorded.now)
    recorded.replica("adopted", adopted=True)
    recorded.registry.advance("adopted", Event.PASSED, "", recorded.now)
    await recorded.recorder.close()
    with Recording(recorded.path) as recording:
        starts = [(one.at - NOON, one.seconds, one.outcome) for one in recording.starts()]
    assert starts == [(0.0, 2.0, "ready"), (2.0, 3.0, "failed"), (5.0, 0.5, "given up")]


async def test_memory_that_is_measured_is_kept(recorded: Recorded) -> None:
    async def measure(instances: Sequence[str]) -> dict[str, Usage]:
        return {one: Usage(0.0, 1000 + index) for index, one in enumerate(instances)}

    recorded.replica("a")
    recorded.replica("x", "other")
    noting = recorded.recorder.noting(measure)
    assert len(await noting(["i-unknown", "i-x", "i-a"])) == 3
    await recorded.recorder.close()
    with Recording(recorded.path) as recording:
        (found,) = recording.memory()
    assert (found.service, found.largest) == ("web", 1002)


async def test_a_reload_says_who_is_recorded_and_how_much_is_kept(recorded: Recorded) -> None:
    recorded.replica("x", "other")
    everything = {
        name: one.model_copy(update={"record": True})
        for name, one in recorded.settings.services.items()
    }
    recorded.report(1.0, 9)
    recorded.report(200.0, 1)
    recorded.recorder.configure(
        recorded.settings.model_copy(
            update={"services": everything, "recording": Settings_(keep=60.0)}
        )
    )
    recorded.registry.advance("x", Event.PASSED, "", recorded.now)
    recorded.replica("y", "other")
    recorded.registry.advance("y", Event.PASSED, "", recorded.now)
    await recorded.recorder.close()
    assert recorded.requests() == 1
    with Recording(recorded.path) as recording:
        assert [one.service for one in recording.starts()] == ["other"]
