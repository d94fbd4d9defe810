"""`tidegate simulate`, from its arguments to its exit code."""

import asyncio
import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recording.rows import Memory, Start
from tests.simulation.test_recordings import NOON, recorded, second
from tests.support.process_table import marked, until
from tests.tidegate.conftest import Said

pytestmark = pytest.mark.usefixtures("elsewhere")

STEADY = ("--shape", "steady(rate=0.5)", "--duration", "3m", "--jobs", "1")
TWO = """
services:
  web: {command: [x], scaling: {max: 3}}
  api: {command: [x], scaling: {rules: [{metric: concurrency}, {metric: cpu, target: 50%}]}}
"""


def told(tidegate: Said, *arguments: str) -> dict[str, Any]:
    assert tidegate("simulate", *arguments, "--json") == 0, tidegate.err
    answer: dict[str, Any] = json.loads(tidegate.out)
    return answer


def rows(tidegate: Said) -> list[list[str]]:
    lines = tidegate.out.splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("VARIANT"))
    return [line.split() for line in lines[begin:]]


def test_without_a_file_it_simulates_the_defaults(tidegate: Said, elsewhere: Path) -> None:
    assert tidegate("simulate", *STEADY) == 0
    assert "configuration   Tidegate's defaults" in tidegate.out
    assert "service time    200ms (supposed)" in tidegate.out
    assert "seed            1" in tidegate.out
    (header, row) = rows(tidegate)
    assert " ".join(header) == (
        "VARIANT P50 P95 P99 MAX DELAYED COLD 503 FAILED REPLICA-S GIB-S ACTIONS"
    )
    assert row[:2] == ["Tidegate's", "defaults"]
    assert list(elsewhere.iterdir()) == []


def test_policies_are_rows_compared_with_the_first(tidegate: Said) -> None:
    policies = ("--policy", "tidegate", "--policy", "hpa", "--price-replica-hour", "1")
    assert tidegate("simulate", *STEADY, *policies) == 0
    table = rows(tidegate)
    assert [row[0] for row in table[1:]] == ["tidegate", "hpa"]
    assert table[0][-1] == "COST"
    assert table[2][-1].endswith("%")
    answer = told(tidegate, *STEADY, *policies)
    ours, theirs = answer["variants"]
    assert theirs["relative"]["cost"] == pytest.approx(theirs["cost"] / ours["cost"] - 1)
    assert ours["requests"] == theirs["requests"] == sum(ours["statuses"].values())
    assert ours["series"][-1].keys() >= {"at", "ready", "desired", "queued", "arrivals"}


def test_several_files_and_policies_are_all_of_them(tidegate: Said, elsewhere: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (elsewhere / name).write_text("services: {web: {command: [x]}}\n")
    files = ("--config", "a.yaml", "--config", "b.yaml")
    answer = told(tidegate, *STEADY, *files)
    assert [one["variant"] for one in answer["variants"]] == ["a.yaml", "b.yaml"]
    answer = told(tidegate, *STEADY, *files, "--policy", "kpa", "--policy", "ray")
    assert [one["variant"] for one in answer["variants"]] == [
        "a.yaml kpa", "a.yaml ray", "b.yaml kpa", "b.yaml ray",
    ]  # fmt: skip


def test_names_of_the_file_and_one_that_stands_for_the_rest(
    tidegate: Said, elsewhere: Path
) -> None:
    (elsewhere / "two.yaml").write_text(TWO)
    (elsewhere / "t.csv").write_text("service,second,requests\nweb,0,3\nother,5,2\n")
    arguments = ("simulate", "t.csv", "--config", "two.yaml", "--jobs", "1")
    assert tidegate(*arguments) == 2
    assert "the configuration has no service other: --service NAME" in tidegate.err
    assert tidegate(*arguments, "--service", "api") == 0
    assert "5 requests" in tidegate.out
    assert "to 2 services, 1 of them after api" in tidegate.out
    assert "services.api.scaling.rules[1]: a simulation knows nothing of cpu" in tidegate.err


def test_tables_and_pictures_are_written(tidegate: Said, elsewhere: Path) -> None:
    arguments = ("--policy", "kpa", "--policy", "ray", "--pictures", "seen")
    assert tidegate("simulate", *STEADY, *arguments, "--csv", "all") == 0
    assert sorted(path.name for path in (elsewhere / "seen").iterdir()) == [
        "01-kpa.png", "02-ray.png", "waits.png",
    ]  # fmt: skip
    tables = {
        path.name: list(csv.DictReader(io.StringIO(path.read_text())))
        for path in (elsewhere / "all").iterdir()
    }
    assert set(tables) == {"variants.csv", "series.csv", "waits.csv"}
    assert [row["variant"] for row in tables["variants.csv"]] == ["kpa", "ray"]
    arrivals = sum(int(row["arrivals"]) for row in tables["series.csv"] if row["variant"] == "kpa")
    assert arrivals == int(tables["variants.csv"][0]["requests"])
    assert tidegate("simulate", *STEADY, "--csv", "one.csv") == 0
    assert len((elsewhere / "one.csv").read_text().splitlines()) == 2


def test_pictures_without_matplotlib_are_refused_with_the_remedy(
    tidegate: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert tidegate("simulate", *STEADY, "--pictures", "seen") == 2
    assert "python3 -m pip install 'tidegate[pictures]'" in tidegate.err
    assert tidegate.out == ""


def test_a_clock_is_for_schedules(tidegate: Said, elsewhere: Path) -> None:
    night = '{schedule: "0 8 * * *", until: "0 18 * * *", min: 2}'
    (elsewhere / "t.yaml").write_text(
        f"services: {{web: {{command: [x], scaling: {{rules: [{{metric: rps}}, {night}]}}}}}}\n"
    )
    used = {}
    for clock in ("2026-11-23T03:00:00+00:00", "2026-11-23T12:00:00+00:00"):
        answer = told(tidegate, *STEADY, "--config", "t.yaml", "--clock", clock)
        used[clock] = answer["variants"][0]["replica_seconds"]
        assert answer["premises"]["begins"].startswith("2026-11-23")
    night_seconds, day_seconds = used.values()
    assert day_seconds == pytest.approx(360, abs=10)
    assert night_seconds < 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no traffic"),
        (("none.csv",), "none.csv: cannot be read"),
        (("--shape", "bump(rate=1)"), "must be steady(…)"),
        (("--shape", "steady(rate=1)", "--config", "none.yaml"), "there is no such file"),
        (("--shape", "steady(rate=1)", "--service", "A B"), "--service: "),
        (("--shape", "steady(rate=1)", "--from", "2h"), "nothing lies between"),
        (("--shape", "steady(rate=1)", "--policy", "k8s"), "--policy"),
    ],
)
def test_wrong_use_is_exit_code_2_before_any_work(
    tidegate: Said, arguments: tuple[str, ...], message: str
) -> None:
    assert tidegate("simulate", *arguments) == 2
    assert message in tidegate.err
    assert tidegate.out == ""


def test_where_it_cannot_be_written_is_told(tidegate: Said, elsewhere: Path) -> None:
    (elsewhere / "file").write_text("")
    assert tidegate("simulate", *STEADY, "--csv", "file/below") == 2
    assert "--csv: cannot write file/below" in tidegate.err


@contextlib.contextmanager
def program(*arguments: str, mark: str = "") -> Iterator[subprocess.Popen[str]]:
    """As a program, with processes of its own; of a test that fails, nothing is left."""
    command = [sys.executable, "-m", "tidegate", "simulate", *arguments]
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "MARK": mark}, start_new_session=True,
    ) as running:  # fmt: skip
        try:
            yield running
        except BaseException:
            os.killpg(running.pid, signal.SIGKILL)
            raise


def test_in_several_processes_it_prints_the_same(tidegate: Said) -> None:
    policies = ("--policy", "tidegate", "--policy", "kpa")
    with program(*STEADY[:-1], "2", *policies) as running:
        out, err = running.communicate(timeout=50)
    assert (running.returncode, err) == (0, "")
    assert tidegate("simulate", *STEADY, *policies) == 0
    assert out == tidegate.out


LONG = ("--shape", "steady(rate=500)", "--duration", "24h", "--policy", "kpa", "--policy", "ray")


@pytest.mark.parametrize("processes", [3, 4], ids=["as they start", "at work"])
async def test_ctrl_c_ends_all_processes_in_silence(processes: int) -> None:
    mark = f"ctrl-c-{os.getpid()}-{processes}"
    with program(*LONG, "--jobs", "2", mark=mark) as running:
        # This one, two that work, and Python's own that tracks what they share.
        await until(lambda: len(marked(mark)) >= processes, "all have begun")
        os.killpg(running.pid, signal.SIGINT)
        _, err = await asyncio.to_thread(running.communicate, timeout=20)
    assert (running.returncode, err) == (130, "")
    await until(lambda: not marked(mark), "all have ended")


async def test_when_it_is_killed_its_processes_end() -> None:
    mark = f"killed-{os.getpid()}"
    with program(*LONG, "--jobs", "2", mark=mark) as running:
        await until(lambda: len(marked(mark)) >= 4, "all have begun")
        running.kill()
    await until(lambda: not marked(mark), "all have ended")


def test_a_recording_tells_what_would_be_supposed(tidegate: Said, elsewhere: Path) -> None:
    path = recorded(
        elsewhere,
        [(at, "web", second(30, 0.2)) for at in range(0, 60, 5)],
        [Start(NOON, "web", 2.0, "ready")],
        [Memory(NOON, "web", 2**30)],
    )
    arguments = ("simulate", str(path), "--jobs", "1")
    assert tidegate(*arguments) == 0
    for measured in (
        "360 requests",
        "service time    measured in the trace",
        "start time      2s on average (measured in the recording)",
        "failing answers 0.00% (measured in the recording)",
        "memory          measured in the trace",
    ):
        assert measured in tidegate.out
    assert rows(tidegate)[1][5] == "2.00s"  # MAX
    given = ("--start-time", "5s", "--service-time", "1s", "--memory", "1MiB")
    assert tidegate(*arguments, *given) == 0
    assert "(measured" not in tidegate.out.replace("(measured in the recording)", "", 2)
    assert rows(tidegate)[1][5].startswith("5.0")
