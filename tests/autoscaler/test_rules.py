"""Wishes are load divided by target, rounded up; the largest wins."""

import pytest

from autoscaler.rules import NO_RULE, Means, largest, wishes
from config.scaling import ConcurrencyRule, RpsRule, Rule


@pytest.mark.parametrize(
    ("concurrency", "target", "replicas"),
    [
        (0.0, 10, 0),
        (0.001, 10, 1),
        (10.0, 10, 1),
        (10.01, 10, 2),
        (30.000000004, 10, 3),  # knative rounds means to six digits
        (100.0, 0.5, 200),
    ],
)
def test_concurrency_is_divided_by_the_target_and_rounded_up(
    concurrency: float, target: float, replicas: int
) -> None:
    (wish,) = wishes([ConcurrencyRule(target=target)], Means(60.0, concurrency))
    assert (wish.rule, wish.replicas, wish.measured) == ("concurrency", replicas, concurrency)


def test_each_rule_wishes_with_its_reason_and_the_largest_wins() -> None:
    rules: list[Rule] = [ConcurrencyRule(target=10), RpsRule(metric="rps", target=100)]
    both = wishes(rules, Means(60.0, concurrency=25, rps=1234.5))
    assert [wish.reason for wish in both] == [
        "concurrency 25 over 1m at 10 per replica asks for 3",
        "rps 1234 over 1m at 100 per replica asks for 13",
    ]
    assert largest(both).rule == "rps"


def test_of_equal_wishes_the_first_rule_speaks() -> None:
    rules: list[Rule] = [RpsRule(metric="rps", target=1), ConcurrencyRule(target=1)]
    assert largest(wishes(rules, Means(60.0, 2, 2))).rule == "rps"


def test_without_rules_nothing_is_wished() -> None:
    assert largest(wishes([], Means(60.0, 99))) == NO_RULE
