"""What may be tuned, on scales of round values; every block is one that Tidegate loads."""

import random
from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.scaling import Scaling
from simulation.block import plain, written
from simulation.space import Candidate, Space, space
from tests.simulation.stories import settings

WRITTEN: tuple[dict[str, Any], ...] = (
    {},
    {"max": 1},
    {"min": 3, "max": 7, "initial": 7, "stable_window": "33s", "panic_window": "33s"},
    {"rules": [{"metric": "rps", "target": 0.5}], "idle": {"stop_after": None}},
    {"rules": [{"metric": "latency", "target": "300ms"}], "policy": "hpa"},
    {"idle": {"freeze_after": "3s", "stop_after": "4s"}, "panic_threshold": "170%"},
)


def scaling(written: dict[str, Any]) -> Scaling:
    return settings(web={"scaling": written}).services["web"].scaling


def anywhere(of: Space, rng: random.Random) -> Candidate:
    return tuple(rng.randrange(len(knob.values)) for knob in of.knobs)


@pytest.mark.parametrize("text", WRITTEN)
def test_the_present_rules_are_a_place_in_it(text: dict[str, Any]) -> None:
    of = space(scaling(text), policies=True)
    assert of.changes(of.present) == {}
    assert of.block(of.present) == of.scaling
    assert of.settled(of.present) == of.present


@given(st.sampled_from(WRITTEN), st.integers())
def test_every_block_loads_as_what_it_was_meant_to_be(text: dict[str, Any], seed: int) -> None:
    of = space(scaling(text), policies=True)
    block = of.block(of.settled(anywhere(of, random.Random(seed))))
    again = settings(web={"scaling": plain(block)}).services["web"].scaling
    assert again == block
    assert yaml.safe_load(written(block, ["why: it\nmatters"])) == {"scaling": plain(block)}


@given(st.sampled_from(WRITTEN), st.integers())
def test_settling_twice_is_settling_once(text: dict[str, Any], seed: int) -> None:
    of = space(scaling(text), policies=True)
    once = of.settled(anywhere(of, random.Random(seed)))
    assert of.settled(once) == once


@pytest.mark.parametrize("text", WRITTEN)
def test_scales_rise_without_doubles(text: dict[str, Any]) -> None:
    for knob in space(scaling(text)).knobs:
        if knob.name == "sleep":
            continue
        ordered = [float("inf") if value is None else value for value in knob.values]
        assert all(low < high for low, high in pairwise(ordered)), knob


def test_only_what_changes_is_written() -> None:
    of = space(scaling({"max": 20}))
    number = next(n for n, knob in enumerate(of.knobs) if knob.name == "freeze_after")
    knob = of.knobs[number]
    changed = list(of.present)
    changed[number] = knob.values.index(10.0)
    assert plain(of.block(tuple(changed))) == {"max": 20, "idle": {"freeze_after": "10s"}}


def test_a_policy_only_changes_when_asked_for() -> None:
    assert "policy" not in [knob.name for knob in space(Scaling()).knobs]


def test_what_a_policy_does_not_use_is_left_alone() -> None:
    of = space(Scaling(), policies=True)
    places = {knob.name: n for n, knob in enumerate(of.knobs)}
    changed = list(of.present)
    changed[places["policy"]] = of.knobs[places["policy"]].values.index("ray")
    changed[places["panic_threshold"]] = 0
    assert of.changes(of.settled(tuple(changed))) == {"policy": "ray"}


def test_sleep_is_learned_only_where_that_means_anything() -> None:
    def learned(written: dict[str, Any], policy: str = "tidegate") -> dict[str, Any]:
        of = space(scaling(written), policies=True)
        places = {knob.name: n for n, knob in enumerate(of.knobs)}
        changed = list(of.present)
        changed[places["sleep"]] = of.knobs[places["sleep"]].values.index("learned")
        changed[places["policy"]] = of.knobs[places["policy"]].values.index(policy)
        return plain(of.block(of.settled(tuple(changed))))

    assert learned({}) == {"idle": {"policy": "learned"}}
    assert learned({}, "hpa") == {"policy": "hpa"}
    assert learned({"idle": {"stop_after": None}}) == {"idle": {"stop_after": None}}


def test_comments_stay_comments() -> None:
    text = written(Scaling(max=3), ["one\nscaling: {max: 9}", ""])
    assert yaml.safe_load(text) == {"scaling": {"max": 3}}
