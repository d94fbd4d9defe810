"""YAML by the rules of version 1.2, and the lines of what is in it."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from config.document import Unreadable, lines, read
from config.scalars import resolve
from config.units import Written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("12", 12),
        ("-12", -12),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("=", "="),
        ("+", "+"),
        ("-", "-"),
        (".", "."),
        ("nUll", "nUll"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    """YAML 1.2.2, section 10.3.2."""
    found = resolve(text)
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_infinity_is_a_number() -> None:
    assert resolve("-.inf") == float("-inf")
    assert isinstance(resolve(".nan"), Written)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 'true'", {"a": "true"}),
        ('a: "5"', {"a": "5"}),
        ("a: !!str 5", {"a": "5"}),
        ("a: !!int 5", {"a": 5}),
        ("a: ! 5", {"a": "5"}),
        ("1: a", {"1": "a"}),
        ("true: a", {"true": "a"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x [1, 2]\nb: *x\n", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\n", {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}),
        (
            "a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}\n",
            {"a": {"k": 1}, "b": {"k": 2, "l": 3}, "c": {"k": 1, "l": 3}},
        ),
        ("&k a: 1\nb: *k\n", {"a": 1, "b": "a"}),
        ('"<<": 1', {"<<": 1}),
        ("--- {a: 1}\n...\n", {"a": 1}),
    ],
)
def test_collections_aliases_and_merges(text: str, value: object) -> None:
    document = read(text)
    assert document.value == value
    assert not document.flaws


def test_an_alias_is_the_same_object_again() -> None:
    value = read("a: &x {b: 1}\nc: *x\n").value
    assert value["a"] is value["c"]


def test_a_key_twice_is_found_at_the_second_one() -> None:
    ((line, finding),) = read("a:\n  b: 1\n  c: 2\n  b: 3\n").flaws
    assert (line, finding.place) == (4, ("a", "b"))


@pytest.mark.parametrize("text", ["[" * 60, "- " * 60 + "a", "{a: " * 60])
def test_depth_has_an_end(text: str) -> None:
    with pytest.raises(Unreadable, match="more than 50 levels"):
        read(text)


def test_every_key_and_item_has_its_line() -> None:
    text = "a:\n  b: 1\n  c:\n    - x\n    -\n      d: 2\ne: *z\n"
    assert lines(text) == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 6,
        ("a", "c", 1, "d"): 6,
        ("e",): 7,
    }


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(TREES, st.booleans())
def test_it_reads_what_another_implementation_writes(tree: Any, flow: bool) -> None:
    """PyYAML's writer, with every text in quotes so that 1.1 and 1.2 agree."""

    class Quoting(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def quoted(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')

    Quoting.add_representer(str, quoted)
    text = yaml.dump({"x": tree}, Dumper=Quoting, default_flow_style=flow)
    assert read(text).value == {"x": tree}
