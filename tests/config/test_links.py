"""How services hang together, as the file says it."""

import pytest

from config.links import one_shots
from config.service import Service
from config.wake import Needed
from tests.config.parsing import parse, said_of

TEXT = """\
services:
  web: {command: app, depends_on: %s}
  db: {command: db}
  cache: {command: cache}
"""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("db", [("db", "healthy")]),
        ("[db, cache]", [("db", "healthy"), ("cache", "healthy")]),
        ("{db: }", [("db", "healthy")]),
        ("{db: {condition: started}}", [("db", "started")]),
        ("{cache: {condition: completed}, db: {}}", [("cache", "completed"), ("db", "healthy")]),
    ],
)
def test_a_dependency_is_written_as_in_compose(written: str, meant: list[tuple[str, str]]) -> None:
    """The Compose specification, services.depends_on; a list is short for conditions there too,
    but there for `started`: here a service is there when it can be asked."""
    web = parse(TEXT % written).services["web"]
    assert [(name, need.condition) for name, need in web.depends_on] == meant


def test_a_diamond_is_no_circle() -> None:
    text = """\
services:
  web: {command: app, depends_on: [api, auth]}
  api: {command: app, depends_on: [db]}
  auth: {command: app, depends_on: [db]}
  db: {command: db}
"""
    assert len(parse(text).services) == 4


def test_a_circle_over_very_many_services_is_found_in_time() -> None:
    """A chain may be as long as the file: no recursion."""
    count = 3000
    lines = [f"  s{n}: {{command: x, depends_on: s{(n + 1) % count}}}" for n in range(count)]
    said = said_of("services:\n" + "\n".join(lines))
    assert "goes round in a circle" in said
    assert said.count("\n") == 0


def test_a_circle_through_a_broken_key_is_not_said_twice() -> None:
    text = """\
services:
  a: {command: app, depends_on: {b: {condition: later}}}
  b: {command: app, depends_on: [a]}
"""
    assert said_of(text).count("\n") == 0


def test_who_is_waited_for_as_completed_is_a_one_shot() -> None:
    web = Service(name="web", depends_on=(("migrate", Needed(condition="completed")),))
    api = Service(name="api", depends_on=(("db", Needed()),))
    assert one_shots([web, api]) == {"migrate"}


def test_dependencies_may_come_from_the_defaults() -> None:
    said = said_of(
        "defaults: {depends_on: [db]}\nservices:\n  web: {command: x}\n  db: {command: y}"
    )
    assert "it cannot need itself" in said
    assert "services.db" in said or "defaults" in said
