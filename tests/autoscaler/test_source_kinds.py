"""What is the same question, and which driver asks it."""

from typing import Any

import pytest

from autoscaler.sources.kinds import Sources, question_of
from autoscaler.sources.source import SourceFailure, place_of, without
from config.rules import CustomRule, JsonRule, PrometheusRule, RedisRule

RULES: list[tuple[type[Any], dict[str, Any]]] = [
    (PrometheusRule, {"metric": "prometheus", "url": "http://a", "query": "up", "target": 1.0}),
    (JsonRule, {"metric": "json", "url": "http://a", "value": "n", "target": 1.0}),
    (RedisRule, {"metric": "redis", "url": "redis://a", "list": "jobs", "target": 1.0}),
    (CustomRule, {"metric": "custom", "name": "a", "target": 1.0}),
]
OF_THE_ANSWER: dict[str, object] = {
    "target": 2.0, "activation": 3.0, "every": 1.0, "failures": 9, "fallback": 4,
}  # fmt: skip


@pytest.mark.parametrize(("model", "facts"), RULES)
def test_the_same_question_differs_in_nothing_that_is_asked(
    model: type[Any], facts: dict[str, Any]
) -> None:
    question = question_of(model.model_validate(facts))
    for key in model.model_fields.keys() - {"metric"}:
        other = {**facts, key: OF_THE_ANSWER.get(key, _another(key, facts))}
        same = question_of(model.model_validate(other)) == question
        assert same == (key in OF_THE_ANSWER), key


def _another(key: str, facts: dict[str, Any]) -> object:
    match key:
        case "headers" | "options":
            return {"X": "1"}
        case "timeout":
            return 1.0
        case "url":
            return f"{facts['url']}b"
    return "other"


@pytest.mark.parametrize(("model", "facts"), RULES)
async def test_each_kind_of_rule_has_its_driver(model: type[Any], facts: dict[str, Any]) -> None:
    sources = Sources()
    source = sources.open(model.model_validate(facts))
    assert type(source).__name__ == model.__name__.replace("Rule", "Source")
    await source.close()
    await sources.close()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://me:hunter2@host:80/p?token=hunter2#hunter2", "http://host:80"),
        ("redis://:hunter2@[::1]:6379/0", "redis://[::1]:6379"),
        ("unix:///run/redis.sock?password=hunter2", "unix:///run/redis.sock"),
    ],
)
def test_where_a_url_leads_is_told_without_what_is_secret(url: str, place: str) -> None:
    assert place_of(url) == place


def test_sentences_are_short_and_of_one_line() -> None:
    assert len(SourceFailure("x" * 10_000).says) <= 301
    assert without("a\n  hunter2hunter b", ["hunter", "", "hunter2"]) == "a …… b"
