"""How values become JSON."""

import json
from types import MappingProxyType

import pytest

from admin.views import as_json, dated, moment
from cluster.lifecycle import State
from cluster.model import Mode
from tests.support.operated_plane import asleep, awake, broken


def test_times_are_rfc_3339_in_utc_with_their_fraction() -> None:
    assert as_json(moment(1_700_000_000.25)) == b'"2023-11-14T22:13:20.250000Z"'


def test_enums_mappings_sets_and_infinities_have_a_json_form() -> None:
    value = MappingProxyType({"state": State.READY, "mode": Mode.PANIC, "all": {2, 1}})
    assert json.loads(as_json(value)) == {"state": "ready", "mode": "panic", "all": [1, 2]}
    assert as_json(float("inf")) == b"null"


def test_what_has_no_json_form_is_an_error_not_a_guess() -> None:
    with pytest.raises(TypeError):
        as_json(object())


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"at": 0, "x": 1}, {"at": moment(0), "x": 1}),
        ({"at": moment(5)}, {"at": moment(5)}),
        ({"x": 1}, {"x": 1}),
        ({}, {}),
    ],
)
def test_dating_touches_nothing_but_at(
    facts: dict[str, object], expected: dict[str, object]
) -> None:
    assert dated(facts) == expected


def test_a_service_is_used_when_something_runs_waits_or_is_wrong() -> None:
    assert [view.is_used for view in (awake(), asleep(), broken())] == [True, False, True]
