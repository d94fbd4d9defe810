"""Pictures are files that are images, one for each variant and one of all waits."""

from pathlib import Path

import pytest

from simulation.curve import longer_than
from simulation.pictures import draw, file_name
from simulation.trials import Result
from tests.simulation.stories import lived, traffic


def result(label: str, *at: float) -> Result:
    outcome = lived(traffic(*((moment, 0.2, 0) for moment in at), seconds=200.0))
    return Result(label, outcome, longer_than(outcome.waits, outcome.requests), 0)


def test_one_for_each_variant_and_one_of_all_waits(tmp_path: Path) -> None:
    files = draw(tmp_path, [result("a b.yaml kpa", 10.0, 11.0), result("../x", 10.0)])
    names = ["01-a-b-yaml-kpa.png", "02-x.png", "waits.png"]
    assert [file.name for file in files] == names == sorted(p.name for p in tmp_path.iterdir())
    for file in files:
        assert file.read_bytes().startswith(b"\x89PNG\r\n")
        assert file.stat().st_size > 10_000


def test_where_nobody_came_there_is_a_picture_too(tmp_path: Path) -> None:
    assert len(draw(tmp_path, [result("none")])) == 2


@pytest.mark.parametrize(("label", "name"), [("", "variant"), ("Ä/..", "variant"), ("A-1", "a-1")])
def test_the_name_of_a_file_has_no_surprises(label: str, name: str) -> None:
    assert file_name(label) == name
