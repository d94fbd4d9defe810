"""Who must be awake, given who is used: tables, and the laws of the closure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.needs import Links
from config.service import Service
from config.wake import Needed


def links(*services: str) -> Links:
    """`web>api,db@shop`: web depends on api and db and is of the group shop."""
    specs = {}
    for text in services:
        rest, _, group = text.partition("@")
        name, _, needed = rest.partition(">")
        depends = tuple((other, Needed()) for other in needed.split(",") if other)
        specs[name] = Service(name=name, depends_on=depends, group=group or None)
    return Links.of(specs)


SHOP = ("web>api,cache", "api>db", "admin>db", "db", "cache", "blog")


@pytest.mark.parametrize(
    ("services", "used", "awake", "needed"),
    [
        pytest.param(SHOP, [], [], set(), id="nobody is used"),
        pytest.param(SHOP, ["web"], [], {"api", "cache", "db"}, id="all below, at once"),
        pytest.param(SHOP, ["admin"], [], {"db"}, id="only what it needs"),
        pytest.param(SHOP, ["blog"], [], set(), id="one without links"),
        pytest.param(SHOP, ["web", "admin"], [], {"api", "cache", "db"}, id="shared ones once"),
        pytest.param(SHOP, ["db"], ["db"], set(), id="who is needed wakes nobody above"),
        pytest.param(SHOP, [], ["api"], {"db"}, id="who is still awake keeps what it needs"),
        pytest.param(SHOP, [], ["web"], {"api", "cache", "db"}, id="and what those need"),
        pytest.param(
            ("a@g", "b@g", "c@g", "d@h"), ["b"], ["b"], {"a", "c"}, id="a group is woken together"
        ),
        pytest.param(
            ("a@g", "b@g"), [], ["a", "b"], set(), id="mates do not keep each other awake"
        ),
        pytest.param(
            ("web>db@g", "db@g"), [], ["web", "db"], {"db"}, id="nor through a dependency"
        ),
        pytest.param(
            ("web>db", "db@g", "backup@g"),
            ["web"],
            [],
            {"db", "backup"},
            id="a needed one wakes its group",
        ),
        pytest.param(("web>gone", "a@"), ["web"], [], set(), id="a name that nobody has"),
    ],
)
def test_who_is_needed(
    services: tuple[str, ...], used: list[str], awake: list[str], needed: set[str]
) -> None:
    assert set(links(*services).needs(used, awake)) == needed


def test_why_is_told_and_whether_it_lingers() -> None:
    found = links("web>db@g", "db@g", "mail@g").needs(["web"], ["web"])
    assert found["db"].why == "web, which depends on it"
    assert found["db"].lingers, "needed as a dependency, whatever group it is of"
    assert found["mail"].why == "web of its group"
    assert not found["mail"].lingers


def test_company_is_everybody_connected() -> None:
    shop = links(*SHOP)
    assert set(shop.company("cache")) == {"web", "api", "admin", "db", "cache"}
    assert shop.company("blog") == ()
    assert set(links("a@g", "b@g", "c>b").company("a")) == {"a", "b", "c"}


NAMES = [f"s{number}" for number in range(6)]


@st.composite
def systems(draw: st.DrawFn) -> Links:
    """Any dependencies without circles, any groups."""
    services = []
    for number, name in enumerate(NAMES):
        needed = draw(st.sets(st.sampled_from(NAMES[number + 1 :] or [""])))
        group = draw(st.sampled_from(["", "g", "h"]))
        services.append(f"{name}>{','.join(sorted(needed - {''}))}@{group}")
    return links(*services)


@given(systems(), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_the_needed_and_the_used_together_lack_nothing(
    system: Links, used: set[str], awake: set[str]
) -> None:
    """A fixpoint: asking again with all of them as used names nobody new; and it is the least
    one, since without any use and with all asleep nobody is needed."""
    found = system.needs(sorted(used), sorted(awake))
    up = {*used, *found}
    for name in {*used, *awake, *found}:
        assert set(system.depends.get(name, ())) <= up
    reached = {*used, *system.needs(sorted(used), ())}
    assert set(system.needs(sorted(reached), ())) <= reached
    assert system.needs((), ()) == {}


@given(systems(), st.lists(st.sampled_from(NAMES), unique=True))
def test_the_order_in_which_they_are_told_does_not_matter(system: Links, used: list[str]) -> None:
    one = system.needs(used, used)
    other = system.needs(used[::-1], used[::-1])
    assert one.keys() == other.keys()
    assert {name: need.lingers for name, need in one.items()} == {
        name: need.lingers for name, need in other.items()
    }


@given(systems(), st.sets(st.sampled_from(NAMES)))
def test_only_those_of_its_company_are_touched(system: Links, used: set[str]) -> None:
    for name in system.needs(sorted(used), sorted(used)):
        assert any(name in system.company(one) for one in used)
