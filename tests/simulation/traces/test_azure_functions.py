"""Azure's counts by minute become traffic with the recorded counts, durations and memory.

The excerpt beside these tests is of the real trace.
"""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from simulation.dice import seeded
from simulation.distributions import Constant
from simulation.traces import azure_functions
from simulation.traces.source import TraceError
from simulation.traffic import Traffic, counted
from tests.simulation.made import DATA, written

EXCERPT = DATA / "azure_functions"
HEADER = "HashOwner,HashApp,HashFunction,Trigger,1,2,3"
DURATIONS = (
    "HashOwner,HashApp,HashFunction,Average,Count,percentile_Average_0,percentile_Average_100"
)
WORK = Constant(9.0)


def read(path: Path, evenly: bool = False, seed: int = 1) -> Traffic:
    return azure_functions.read(path, seeded(seed), WORK, evenly)


def works(traffic: Traffic, service: int) -> set[float]:
    return {work for _, work, number in traffic.arrivals() if number == service}


@pytest.fixture
def invocations(tmp_path: Path) -> Path:
    return written(
        tmp_path, HEADER, "o,p,fa,http,2,0,1", "o,p,fb,timer,0,0,0", "o,q,fc,http,0,7,0",
        name="invocations.csv",
    )  # fmt: skip


def test_the_real_trace_is_read_with_all_that_lies_beside_it() -> None:
    traffic = read(EXCERPT)
    assert sorted(traffic.services) == sorted(
        ("timer-732bff", "http-176c57", "event-356fb2", "http-aabdcb", "queue-b932ed")
    )
    found = counted(traffic)
    by_service = dict(zip(traffic.services, found.by_service, strict=True))
    assert by_service == {
        "timer-732bff": 60, "http-176c57": 60, "event-356fb2": 0, "http-aabdcb": 24,
        "queue-b932ed": 911,
    }  # fmt: skip
    assert traffic.seconds == 3600
    memory = dict(zip(traffic.services, traffic.memory, strict=True))
    assert memory["queue-b932ed"] == 66_000_000
    assert memory["event-356fb2"] == 49_750_000


def test_the_work_is_as_much_as_was_recorded() -> None:
    """911 requests of 706 ms on average, with some of 9 s: within the noise of so few draws."""
    traffic = read(EXCERPT)
    queue = traffic.services.index("queue-b932ed")
    takes = [work for _, work, service in traffic.arrivals() if service == queue]
    assert sum(takes) / len(takes) == pytest.approx(0.706, rel=0.25)
    assert 0.051 <= min(takes) < 0.294 < 0.339 < max(takes) <= 19.321
    assert sorted(takes)[len(takes) // 2] == pytest.approx(0.306, abs=0.01)


@pytest.mark.parametrize("evenly", [False, True])
def test_every_minute_has_its_requests(invocations: Path, evenly: bool) -> None:
    traffic = read(invocations, evenly)
    assert traffic.services == ("http-fa", "timer-fb", "http-fc")
    minutes = Counter((int(at // 60), service) for at, _, service in traffic.arrivals())
    assert minutes == {(0, 0): 2, (2, 0): 1, (1, 2): 7}
    assert traffic.seconds == 180


def test_one_seed_is_one_traffic(invocations: Path) -> None:
    first = list(read(invocations).arrivals())
    assert first == list(read(invocations).arrivals())
    assert first != list(read(invocations, seed=2).arrivals())


def test_without_durations_and_memory_the_given_work_is_done(invocations: Path) -> None:
    traffic = read(invocations)
    assert works(traffic, 0) == works(traffic, 2) == {9.0}
    assert traffic.memory == ()


def test_a_duration_is_by_percentiles_else_average_else_as_given(invocations: Path) -> None:
    written(
        invocations.parent, DURATIONS, "o,p,fa,500,9,400,600", "o,p,fb,1,0,1,1", "o,q,fc,250,9,,",
        name="durations.csv",
    )  # fmt: skip
    traffic = read(invocations)
    assert all(0.4 <= work <= 0.6 for work in works(traffic, 0))
    assert len(works(traffic, 0)) == 3
    assert works(traffic, 2) == {0.25}


def test_a_function_that_was_never_timed_does_the_given_work(invocations: Path) -> None:
    written(invocations.parent, DURATIONS, "o,p,fa,500,0,400,600", name="durations.csv")
    assert works(read(invocations), 0) == {9.0}


def test_memory_unknown_for_one_function_is_zero(invocations: Path) -> None:
    header = "HashFunction,HashOwner,HashApp,SampleCount,AverageAllocatedMb"
    written(invocations.parent, header, "fa,o,p,3,50.5", "fc,o,q,3,", name="memory.csv")
    assert read(invocations).memory == (50_500_000, 0.0, 0.0)


def test_the_whole_trace_has_names_and_memory_of_its_own(tmp_path: Path) -> None:
    path = written(
        tmp_path, HEADER, "o,p,fa,http,2,0,1",
        name="invocations_per_function_md.anon.d01.csv",
    )  # fmt: skip
    durations = "function_durations_percentiles.anon.d01.csv"
    written(tmp_path, DURATIONS, "o,p,fa,500,9,400,600", name=durations)
    memory = "HashOwner,HashApp,SampleCount,AverageAllocatedMb"
    written(tmp_path, memory, "o,p,3,70", name="app_memory_percentiles.anon.d01.csv")
    traffic = read(path)
    assert max(works(traffic, 0)) < 0.6
    assert traffic.memory == (70_000_000,)


def test_hashes_are_cut_to_what_tells_them_apart(tmp_path: Path) -> None:
    rows = [f"o,p,{name},Http Trigger,1,1,1" for name in ("abcdef12", "abcdef13", "0")]
    traffic = read(written(tmp_path, HEADER, *rows))
    assert traffic.services == ("http-trigger-abcdef12", "http-trigger-abcdef13", "http-trigger-0")


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        (["a,b,c"], 1, "must begin with HashOwner,HashApp,HashFunction,Trigger and then number"),
        ([HEADER.replace("2", "4")], 1, "number every minute, as 1,2,3"),
        (["HashOwner,HashApp,HashFunction,Trigger"], 1, "number every minute"),
        ([HEADER, "o,p,f,http,1,2"], 2, "has 6 columns where the header has 7: is it cut off?"),
        (
            [HEADER, "o,p,f,http,1,x,3"],
            2,
            'minute 2 must be a whole number below 10 million, got "x"',
        ),
        ([HEADER, "o,p,f,http,1,1,1", "", "o,p,g,http,-1,0,0"], 4, "minute 1 must be a whole"),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, lines: list[str], line: int, message: str) -> None:
    path = written(tmp_path, *lines)
    with pytest.raises(TraceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("o,p,fa,soon,9,1,2", 'Average must be a number, got "soon"'),
        ("o,p,fa,5,9,3,2", "their values must not fall"),
    ],
)
def test_an_error_in_the_durations_names_their_line(
    invocations: Path, row: str, message: str
) -> None:
    path = written(invocations.parent, DURATIONS, row, name="durations.csv")
    with pytest.raises(TraceError, match=message) as caught:
        read(invocations)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_a_file_without_functions_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="holds no function"):
        read(written(tmp_path, HEADER))


def test_the_excerpt_is_read_from_a_folder_or_by_its_file(tmp_path: Path) -> None:
    shutil.copytree(EXCERPT, tmp_path / "copy")
    by_file = read(tmp_path / "copy" / "invocations.csv")
    assert list(by_file.arrivals()) == list(read(EXCERPT).arrivals())
