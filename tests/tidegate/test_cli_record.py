"""`tidegate record`: what was recorded, as tables, from the file and with no Tidegate running."""

import csv
import json
from pathlib import Path

import pytest

from recording.rows import Batch, Memory, Start
from recording.schema import NAME
from recording.seconds import MICRO, Second
from recording.writer import Writer
from tests.recording.reports import NOON
from tests.tidegate.conftest import Said

pytestmark = pytest.mark.usefixtures("recorded")

FILE = "owner: test\nstate_dir: state\nservices: {web: {command: app, record: true}}\n"


@pytest.fixture
def recorded(elsewhere: Path) -> None:
    (elsewhere / "tidegate.yaml").write_text(FILE)
    (elsewhere / "state").mkdir()
    second = Second(
        requests=2, failures=1, busy=MICRO // 4, in_flight=MICRO // 4, replicas=1,
        histograms={"occupied": {0: 1, 500: 1}, "answer_sizes": {0: 1, 13: 2}},
    )  # fmt: skip
    writer = Writer(elsewhere / "state" / NAME, 1e9, 2**24)
    seconds = [(int(NOON), "web", second), (int(NOON) + 5, "web", second)]
    starts = [Start(NOON, "web", 1.5, "ready")]
    memory = [Memory(int(NOON), "web", 4096)]
    writer.append(Batch([*seconds, (int(NOON), "api", second)], starts, memory))
    writer.finish(NOON, last=True)
    writer.close()


def test_what_there_is(tidegate: Said) -> None:
    assert tidegate("record", "list") == 0
    assert tidegate.out.splitlines()[:3] == [
        "SERVICE  FROM                  TO                    REQUESTS  STARTS",
        "api      2025-11-22T12:00:00Z  2025-11-22T12:00:01Z  2         0",
        "web      2025-11-22T12:00:00Z  2025-11-22T12:00:06Z  4         1",
    ]
    assert tidegate.out.endswith("KiB on disk\n")
    assert tidegate("record", "list", "--json") == 0
    told = json.loads(tidegate.out)
    assert told["bytes"] > 0
    assert told["services"][1] == {
        "name": "web",
        "from": "2025-11-22T12:00:00Z",
        "to": "2025-11-22T12:00:06Z",
        "requests": 4,
        "starts": 1,
    }


def test_arrivals_are_what_is_exported(tidegate: Said) -> None:
    assert tidegate("record", "export", "--service", "web") == 0
    assert tidegate.out.splitlines() == [
        "service,time,at,seconds,requests,rejected,failures,busy_seconds,replicas",
        "web,2025-11-22T12:00:00Z,1763812800,1,2,0,1,0.25,1",
        "web,2025-11-22T12:00:05Z,1763812805,1,2,0,1,0.25,1",
    ]


def test_into_a_file_and_in_part(tidegate: Said, elsewhere: Path) -> None:
    limits = ("--from", "2025-11-22T12:00:01Z", "--to", "2025-11-22T12:00:09Z")
    assert tidegate("record", "export", *limits, "--csv", "out.csv") == 0
    assert tidegate.out == ""
    with (elsewhere / "out.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["service"], row["at"], row["requests"]) == ("web", "1763812805", "2")


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("times", "web,0,0.25,occupied,0.0001,2"),
        ("times", "web,0,0.25,occupied,inf,2"),
        ("sizes", "web,answer,0,2"),
        ("sizes", "web,answer,8191,4"),
        ("starts", "web,2025-11-22T12:00:00Z,1763812800,1.5,ready"),
        ("memory", "web,2025-11-22T12:00:00Z,1763812800,4096"),
    ],
)
def test_all_else_by_its_name(tidegate: Said, what: str, row: str) -> None:
    assert tidegate("record", "export", "--what", what) == 0
    assert row in tidegate.out.splitlines()


def test_for_programs_one_object_a_line(tidegate: Said) -> None:
    assert tidegate("record", "export", "--what", "times", "--service", "web", "--json") == 0
    rows = [json.loads(line) for line in tidegate.out.splitlines()]
    assert [row["up_to_seconds"] for row in rows] == [0.0001, None]
    assert {row["kind"] for row in rows} == {"occupied"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "never"], "--from: must be a time such as"),
        (["--from", "2025-11-22T12:00:01Z", "--to", "2025-11-22T12:00:00Z"], "--to must be later"),
        (["--what", "nothing"], "'nothing' is not one of"),
        (["--config", "gone.yaml"], "there is no such file"),
    ],
)
def test_wrong_use_is_exit_code_2(tidegate: Said, arguments: list[str], said: str) -> None:
    assert tidegate("record", "export", *arguments) == 2
    assert said in tidegate.err


def test_a_service_of_which_nothing_is_recorded(tidegate: Said) -> None:
    assert tidegate("record", "export", "--service", "gone") == 1
    assert "nothing of gone is recorded, only of api, web" in tidegate.err


def test_where_nothing_is_recorded_the_remedy_is_said(tidegate: Said, elsewhere: Path) -> None:
    for file in (elsewhere / "state").iterdir():
        file.unlink()
    assert tidegate("record", "list") == 1
    assert "a service needs `record: true`" in tidegate.err


def test_a_damaged_file_is_told(tidegate: Said, elsewhere: Path) -> None:
    (elsewhere / "state" / NAME).write_bytes(b"no database" * 500)
    assert tidegate("record", "export") == 1
    assert "is damaged" in tidegate.err


def test_a_file_that_cannot_be_written_is_told(tidegate: Said) -> None:
    assert tidegate("record", "export", "--csv", "no/such/folder.csv") == 1
    assert "cannot write no/such/folder.csv: No such file or directory" in tidegate.err
