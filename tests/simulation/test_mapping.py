"""Which service of a configuration gets which requests."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.loader import parse
from config.settings import Settings
from simulation.mapping import UNNAMED, Unmappable, mapped, template_of, under
from tests.simulation.stories import settings


def file(**services: dict[str, Any]) -> Settings:
    return parse(yaml.safe_dump({"services": services}), Path("/nowhere/tidegate.yaml"), {})


def test_names_of_the_file_are_its_services() -> None:
    two = settings(web={}, api={"scaling": {"max": 3}})
    fit = mapped(two, ["api", "web"], None)
    assert fit.settings.services == two.services
    assert (fit.made, fit.left_out, fit.notes) == ((), (), ())


def test_other_names_become_services_like_the_template() -> None:
    one = settings(web={"concurrency": 2, "scaling": {"max": 3}, "group": "all"})
    fit = mapped(one, ["http-1", "web", "http-2"], "web")
    assert set(fit.settings.services) == {"web", "http-1", "http-2"}
    assert fit.made == ("http-1", "http-2")
    made = fit.settings.services["http-1"]
    assert (made.name, made.concurrency, made.scaling.max) == ("http-1", 2, 3)
    assert made.hosts == ("http-1.localhost",)
    assert made.group is None  # or all would wake together


def test_who_is_not_asked_is_left_out_but_for_those_that_others_need() -> None:
    four = settings(web={"depends_on": ["db"]}, db={"group": "d"}, cache={"group": "d"}, idle={})
    fit = mapped(four, ["web"], None)
    assert set(fit.settings.services) == {"web", "db", "cache"}
    assert fit.left_out == ("idle",)


def test_the_template_alone_costs_nothing() -> None:
    fit = mapped(settings(web={"scaling": {"min": 2}}), ["other"], "web")
    assert set(fit.settings.services) == {"other"}
    assert fit.left_out == ()


def test_what_others_run_is_refused_with_the_reason() -> None:
    foreign = file(web={"endpoints": ["10.0.0.1:80"]})
    with pytest.raises(Unmappable, match=r"web has endpoints, .* never scales"):
        mapped(foreign, ["web"], None)
    with pytest.raises(Unmappable, match="endpoints"):
        mapped(foreign, ["other"], "web")


def test_what_others_run_answers_for_nobody() -> None:
    both = file(web={"command": ["x"], "wake": {"fallback": "a"}}, a={"endpoints": ["10.0.0.1:80"]})
    fit = mapped(both, ["web"], None)
    assert set(fit.settings.services) == {"web"}
    assert fit.settings.services["web"].wake.fallback is None
    assert "services.a is run by others" in fit.notes[0]


def test_rules_that_need_what_is_not_simulated_are_named() -> None:
    rules = [
        {"metric": "concurrency"},
        {"metric": "cpu"},
        {"metric": "prometheus", "url": "http://p:9090", "query": "up", "target": 1},
    ]
    fit = mapped(settings(web={"scaling": {"rules": rules}}), ["a", "b"], "web")
    assert [note.split(":")[0] for note in fit.notes] == [
        "services.web.scaling.rules[1]",
        "services.web.scaling.rules[2]",
    ]
    assert "cpu" in fit.notes[0]
    assert "prometheus" in fit.notes[1]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["x"], r"no service x: --service NAME .* api or web"),
        (["a", "b", "c", "d", "e"], "no service a, b, c and 2 more"),
        ([UNNAMED], "nothing names the service of these requests: --service takes api or web"),
    ],
)
def test_a_name_that_nobody_stands_for_is_told(names: list[str], told: str) -> None:
    with pytest.raises(Unmappable, match=told):
        mapped(settings(web={}, api={}), names, None)


def test_the_template_is_the_named_one_or_the_only_one() -> None:
    assert template_of(settings(web={}), None) == "web"
    assert template_of(settings(web={}, api={}), None) is None
    assert template_of(settings(web={}, api={}), "api") == "api"
    with pytest.raises(Unmappable, match='no service "x": --service takes web'):
        template_of(settings(web={}), "x")


def test_a_policy_is_that_of_all_services_and_all_else_stays() -> None:
    two = settings(web={"scaling": {"max": 3}}, api={})
    kpa = under(two, "kpa")
    assert [service.scaling.policy for service in kpa.services.values()] == ["kpa", "kpa"]
    assert kpa.services["web"].scaling.model_fields_set == {"max", "policy"}
    assert two.services["web"].scaling.policy == "tidegate"
