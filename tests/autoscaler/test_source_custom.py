"""Entry points of a real distribution, made on the spot: async, plain, slow and hostile."""

import asyncio
import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.sources.custom import CustomSource
from autoscaler.sources.source import SourceFailure
from config.rules import CustomRule

MODULE = "tidegate_test_metrics"
SOURCE = """
import asyncio, sys, threading, time
gate = threading.Event()
threads = []

def plain(options):
    threads.append(threading.current_thread().name)
    return int(options["depth"])

async def asynchronous(options):
    await asyncio.sleep(0)
    return float(options["depth"]) / 2

def lazily(options):
    return asynchronous(options)

def nothing(options):
    return None

def text(options):
    return "12"

def truth(options):
    return True

def huge(options):
    return 10 ** 400

def failing(options):
    raise ValueError("cannot log in with " + options["token"])

def leaving(options):
    sys.exit("bye")

async def leaving_too(options):
    sys.exit("bye")

def stopping(options):
    raise StopIteration

def stuck(options):
    threads.append(threading.current_thread().name)
    gate.wait(30)
    return 5

async def sleeping(options):
    await asyncio.sleep(60)

number = 7
"""
NAMES = (
    "plain", "asynchronous", "lazily", "nothing", "text", "truth", "huge", "failing", "leaving",
    "leaving_too", "stopping", "stuck", "sleeping", "number", "missing",
)  # fmt: skip


@pytest.fixture(autouse=True)
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As pip installs one."""
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    facts = tmp_path / f"{MODULE}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {MODULE}\nVersion: 1.0\n")
    points = "".join(f"{name} = {MODULE}:{name}\n" for name in NAMES)
    broken = f"broken = {MODULE}_nowhere:plain\n"
    (facts / "entry_points.txt").write_text(f"[tidegate.metrics]\n{points}{broken}")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    module = sys.modules.pop(MODULE, None)
    if module is not None:
        module.gate.set()


def source(name: str, **options: str) -> CustomSource:
    facts = {"metric": "custom", "name": name, "options": options, "target": 1.0}
    return CustomSource(CustomRule.model_validate(facts))


def called() -> list[str]:
    """The threads that have called a plain function; none while it is being imported."""
    return list(getattr(sys.modules.get(MODULE), "threads", ()))


def stuck() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "metric stuck"]


async def refused(name: str, **options: str) -> SourceFailure:
    with pytest.raises(SourceFailure) as failure:
        await source(name, **options).ask()
    return failure.value


@pytest.mark.parametrize(("name", "value"), [("plain", 8), ("asynchronous", 4), ("lazily", 4)])
async def test_a_function_is_given_its_options(name: str, value: float) -> None:
    one = source(name, depth="8")
    assert await one.ask() == value
    assert await one.ask() == value


async def test_a_plain_function_does_not_hold_the_loop() -> None:
    await source("plain", depth="8").ask()
    assert called() == ["metric plain"]


@pytest.mark.parametrize(
    ("name", "says", "silent"),
    [
        ("nothing", "nothing says that there is no value", True),
        ("text", "text returned str, which is no number", False),
        ("truth", "truth returned bool, which is no number", False),
        ("huge", "huge failed: OverflowError: int too large to convert to float", False),
        ("leaving", "leaving failed: RuntimeError: SystemExit: bye", False),
        ("leaving_too", "leaving_too failed: SystemExit: bye", False),
        ("stopping", "stopping failed: RuntimeError: StopIteration: ", False),
        ("number", 'the entry point "number" is no function', False),
        (
            "broken",
            "broken failed: ModuleNotFoundError: No module named 'tidegate_test_metrics_nowhere'",
            False,
        ),
    ],
)
async def test_whatever_goes_wrong_is_said(name: str, says: str, silent: bool) -> None:
    failure = await refused(name)
    assert (failure.says.strip(), failure.silent) == (says.strip(), silent)


async def test_an_entry_point_that_is_not_there_is_missed_with_those_that_are() -> None:
    says = (await refused("nobody")).says
    assert says.startswith('there is no entry point "nobody" in tidegate.metrics; there are: ')
    assert "asynchronous, broken" in says


async def test_what_it_says_is_told_without_its_options() -> None:
    assert (await refused("failing", token="hunter2")).says == (
        "failing failed: ValueError: cannot log in with …"
    )


async def test_an_async_function_is_cancelled_in_time() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await source("sleeping").ask()


async def test_a_function_that_does_not_come_back_is_not_called_again() -> None:
    """A thread cannot be ended: each further call would leave one more behind."""
    one = source("stuck")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        asked = group.create_task(one.ask(), name="asked for the first time")
        while not called() or len(stuck()) > 1:  # noqa: ASYNC110 (one thread loads, one calls)
            await asyncio.sleep(0.01)
        asked.cancel()
    before = stuck()
    for _ in range(3):
        with pytest.raises(SourceFailure, match="has not come back"):
            await one.ask()
    assert called() == ["metric stuck"]
    assert stuck() == before
    assert before[0].daemon
    sys.modules[MODULE].gate.set()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await one.ask() == 5
                break
            except SourceFailure:
                await asyncio.sleep(0.01)
