"""Wishes are load divided by target, rounded up; the largest wins."""

import pytest

from autoscaler.gauges import Gauge
from autoscaler.rules import NO_RULE, Means, largest, wishes
from config.rules import ConcurrencyRule, JsonRule, MetricRule, RpsRule


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
    rules: list[MetricRule] = [ConcurrencyRule(target=10), RpsRule(metric="rps", target=100)]
    both = wishes(rules, Means(60.0, concurrency=25, rps=1234.5))
    assert [wish.reason for wish in both] == [
        "concurrency 25 over 1m at 10 per replica asks for 3",
        "rps 1234 over 1m at 100 per replica asks for 13",
    ]
    assert largest(both).rule == "rps"


def test_of_equal_wishes_the_first_rule_speaks() -> None:
    rules: list[MetricRule] = [RpsRule(metric="rps", target=1), ConcurrencyRule(target=1)]
    assert largest(wishes(rules, Means(60.0, 2, 2))).rule == "rps"


def test_without_rules_nothing_is_wished() -> None:
    assert largest(wishes([], Means(60.0, 99))) == NO_RULE


def polled(**changes: object) -> JsonRule:
    return JsonRule.model_validate(
        {"metric": "json", "url": "http://a", "value": "n", "target": 10.0, **changes}
    )


@pytest.mark.parametrize(
    ("rule", "gauge", "wish", "says"),
    [
        (polled(), Gauge(25.0), 3, "json 25 at 10 per replica asks for 3"),
        (polled(), None, 4, "json has no value (nothing was measured yet): holds 4"),
        (
            polled(),
            Gauge(None, "timed out", failing=9),
            4,
            "json has no value (timed out): holds 4",
        ),
        (
            polled(fallback=6),
            Gauge(None, "timed out", failing=2),
            4,
            "json has no value (timed out): holds 4",
        ),
        (
            polled(fallback=6),
            Gauge(None, "timed out", failing=3),
            6,
            "json has failed 3 times (timed out): falls back to 6",
        ),
        (polled(), Gauge(0.4, "0.4 s asks for 7", wish=7), 7, "json 0.4 s asks for 7"),
    ],
)
def test_what_is_measured_elsewhere(
    rule: JsonRule, gauge: Gauge | None, wish: int, says: str
) -> None:
    gauges: dict[MetricRule, Gauge] = {} if gauge is None else {rule: gauge}
    (found,) = wishes([rule], Means(60.0), gauges, desired=4)
    assert (found.replicas, found.reason) == (wish, says)


def test_a_window_is_told_to_a_tenth_of_a_second() -> None:
    wish = wishes((ConcurrencyRule(target=10.0),), Means(1.0129999999, 12.0))[0]
    assert wish.reason == "concurrency 12 over 1s at 10 per replica asks for 2"
    wish = wishes((ConcurrencyRule(target=10.0),), Means(2.26, 12.0))[0]
    assert wish.reason == "concurrency 12 over 2300ms at 10 per replica asks for 2"
