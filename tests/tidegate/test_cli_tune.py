"""`tidegate tune`, from its arguments to a block that a configuration takes."""

import json
from pathlib import Path

import pytest
import yaml

from config.loader import parse
from tests.tidegate.conftest import Said

pytestmark = pytest.mark.usefixtures("elsewhere")

RARE = ("--shape", "steady(rate=1/m)", "--duration", "20m", "--jobs", "1", "--evenly")
FEW = ("--tries", "10")
FILE = "services: {web: {command: [x], scaling: {max: 4, idle: {stop_after: 10m}}}}\n"


def test_the_block_loads_with_its_evidence(tidegate: Said, elsewhere: Path) -> None:
    (elsewhere / "tidegate.yaml").write_text(FILE)
    arguments = (*RARE, *FEW, "--config", "tidegate.yaml", "--out", "better.yaml")
    wish = ("--objective", "p99 wait < 500ms, delayed <= 100%, least cost")
    assert tidegate("tune", *arguments, *wish) == 0, tidegate.err
    assert "Recommended: " in tidegate.out
    assert "Cost against p99 wait" in tidegate.out
    text = (elsewhere / "better.yaml").read_text()
    for evidence in ("p99 wait < 500ms", "held out", "training", "seed", "tries", "present"):
        assert evidence in text
    block = yaml.safe_load(text)
    assert block["scaling"]["max"] == 4  # what was written stays
    whole = {"services": {"web": {"command": ["x"], **block}}}
    loaded = parse(yaml.safe_dump(whole), elsewhere / "new.yaml", {})
    assert loaded.services["web"].scaling.max == 4
    assert loaded.warnings == ()


def test_without_a_file_to_write_the_block_follows_the_report(tidegate: Said) -> None:
    assert tidegate("tune", *RARE, "--tries", "1") == 0
    assert "Keep the present rules: on the training part nothing" in tidegate.out
    assert "\nscaling: {}\n" in tidegate.out


def test_programs_get_all_of_it(tidegate: Said) -> None:
    assert tidegate("tune", *RARE, *FEW, "--objective", "least cost", "--json") == 0
    answer = json.loads(tidegate.out)
    assert answer["is_better"]
    assert answer["training"] == [0.0, 840.0]
    assert answer["held_out"] == [840.0, 1200.0]
    held = {name: parts["held_out"]["cost"] for name, parts in answer["blocks"].items()}
    assert held["chosen"] < held["present"]
    assert answer["scaling"]
    assert answer["tried"] >= 10


def test_a_share_can_be_held_out(tidegate: Said) -> None:
    more = ("--tries", "1", "--hold-out", "50%", "--json")
    assert tidegate("tune", *RARE, *more) == 0
    assert json.loads(tidegate.out)["training"] == [0.0, 600.0]


def test_only_one_service_is_tuned(tidegate: Said, elsewhere: Path) -> None:
    (elsewhere / "two.yaml").write_text("services: {web: {command: [x]}, api: {command: [x]}}\n")
    (elsewhere / "t.csv").write_text("service,second,requests\nweb,0,3\napi,5,2\nweb,60,1\n")
    arguments = ("tune", "t.csv", "--config", "two.yaml", "--jobs", "1", "--tries", "1")
    assert tidegate(*arguments) == 2
    assert "--service NAME says which service of the file is to be tuned" in tidegate.err
    assert tidegate(*arguments, "--service", "web") == 0
    assert "only web is tuned: requests for api are left out" in tidegate.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--objective", "cheap"), "--objective: "),
        (("--objective", "p99 wait < 1s"), "nothing is to be made least"),
        (("--hold-out", "100%"), "--hold-out must be more than 0% and less than 100%"),
        (("--hold-out", "x"), "--hold-out must be a ratio"),
        (("--config", "none.yaml"), "there is no such file"),
        (("--tries", "0"), "--tries"),
    ],
)
def test_wrong_use_is_exit_code_2(tidegate: Said, arguments: tuple[str, ...], message: str) -> None:
    assert tidegate("tune", *RARE, *arguments) == 2
    assert message in tidegate.err
    assert tidegate.out == ""


def test_where_the_block_cannot_be_written_is_told(tidegate: Said) -> None:
    assert tidegate("tune", *RARE, "--tries", "1", "--out", "none/x.yaml") == 2
    assert "--out: cannot write none/x.yaml" in tidegate.err


def test_in_several_processes_it_finds_the_same(tidegate: Said) -> None:
    wish = ("--shape", "steady(rate=1/m)", "--duration", "10m", "--tries", "6", "--json")
    assert tidegate("tune", *wish, "--jobs", "1") == 0
    alone = tidegate.out
    assert tidegate("tune", *wish, "--jobs", "2") == 0
    assert tidegate.out == alone
