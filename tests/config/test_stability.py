"""What is unwise is said with its remedy, and the remedy silences it."""

from pathlib import Path
from typing import Any

import pytest

from autoscaler import decider, kpa
from config import checks, stability
from config.errors import ConfigError
from config.rules import MemoryRule
from config.scaling import Scaling
from config.service import Resources, Service
from tests.config.parsing import parse

DAY = {"schedule": "0 8 * * *", "until": "0 18 * * *"}
EVENING = {"schedule": "0 17 * * *", "until": "0 22 * * *"}
NIGHT = {"schedule": "0 19 * * *", "until": "0 5 * * *"}
SLOW = {"startup": {"deadline": "5m"}}
CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "window below the tick": (
        {"scaling": {"policy": "kpa", "panic_window": "1s"}},
        "scaling.panic_window: 1s is shorter than the 2s from one decision to the next, so load in "
        "between is not seen: set it to 2s or more",
        {"scaling": {"policy": "kpa", "panic_window": "2s"}},
    ),
    "equal windows": (
        {"scaling": {"panic_window": "60s"}},
        "scaling.panic_window: 1m is as long as stable_window, so a burst is noticed no earlier: "
        "set it to about a tenth of it",
        {"scaling": {"panic_window": "6s"}},
    ),
    "nobody to compare errors with": (
        {"scaling": {"max": 1}, "health": {"outliers": {"error_rate": "50%"}}},
        "health.outliers.error_rate: compares at least 2 replicas, and there is only one: "
        "have more of them, or remove it",
        {"scaling": {"max": 2}, "health": {"outliers": {"error_rate": "50%"}}},
    ),
    "too few to know the usual time by": (
        {"scaling": {"max": 2}, "health": {"outliers": {"slow": 5}}},
        "health.outliers.slow: compares at least 3 replicas, and there are at most 2: "
        "have more of them, or remove it",
        {"scaling": {"max": 3}, "health": {"outliers": {"slow": 5}}},
    ),
    "target above the limit": (
        {"concurrency": 5, "scaling": {"rules": [{"metric": "concurrency", "target": 6}]}},
        "scaling.rules.0.target: 6 is above `concurrency` (5), the hard limit, so requests queue "
        "before a replica is added: set the target to 5 or less",
        {"concurrency": 5, "scaling": {"rules": [{"metric": "concurrency", "target": 5}]}},
    ),
    "default target above the limit": (
        {"concurrency": 1},
        "concurrency: 1 is below the target of scaling.rules (10 if not written), so requests "
        "queue before a replica is added: set the target to 1 or less",
        {"concurrency": 1, "scaling": {"rules": [{"metric": "concurrency", "target": 1}]}},
    ),
    "a key of another policy": (
        {"scaling": {"policy": "kpa", "tolerance": "10%"}},
        "scaling.tolerance: has no effect with policy kpa: remove it, or use policy tidegate",
        {"scaling": {"policy": "hpa", "tolerance": "10%"}},
    ),
    "panic in a policy without": (
        {"scaling": {"policy": "ray", "panic_threshold": "300%"}},
        "scaling.panic_threshold: has no effect with policy ray: remove it, or use policy tidegate",
        {"scaling": {"policy": "kpa", "panic_threshold": "300%"}},
    ),
    "a policy's own way to zero": (
        {"scaling": {"policy": "hpa", "idle": {"stop_after": "10m"}}},
        "scaling.idle.stop_after: has no effect with policy hpa, which has its own way to zero: "
        "remove it, use null for never, or use policy tidegate",
        {"scaling": {"policy": "hpa", "idle": {"stop_after": None}}},
    ),
    "removed but never stopped": (
        {"scaling": {"idle": {"stop_after": None, "remove_after": "1h"}}},
        "scaling.idle.remove_after: has no effect while idle.stop_after is null: nothing is ever "
        "stopped; set that, or remove this",
        {"scaling": {"idle": {"stop_after": "1m", "remove_after": "1h"}}},
    ),
    "learned sleep of another policy": (
        {"scaling": {"policy": "hpa", "idle": {"policy": "learned"}}},
        "scaling.idle.policy: has no effect with policy hpa: use policy tidegate and a stop_after, "
        "or use timeout",
        {"scaling": {"idle": {"policy": "learned"}}},
    ),
    "learned sleep that never comes": (
        {"scaling": {"idle": {"policy": "learned", "stop_after": None}}},
        "scaling.idle.policy: has no effect while stop_after is null: use policy tidegate and a "
        "stop_after, or use timeout",
        {"scaling": {"idle": {"policy": "learned", "stop_after": "10m"}}},
    ),
    "a cost that nobody reads": (
        {"scaling": {"idle": {"wake_cost": 10}}},
        "scaling.idle.wake_cost: has no effect with policy timeout: use learned, or remove it",
        {"scaling": {"idle": {"policy": "learned", "wake_cost": 10}}},
    ),
    "stopped before it was started": (
        {"health": SLOW, "queue": {"timeout": "5m"}},
        "scaling.idle.stop_after: 1m is shorter than a start may take (5m), so it may be stopped "
        "sooner than it was started: set it to 5m or more, or lower health.startup.deadline",
        {"health": SLOW, "queue": {"timeout": "5m"}, "scaling": {"idle": {"stop_after": "5m"}}},
    ),
    "given up before others are ready": (
        {"health": SLOW, "scaling": {"min": 1, "down_delay": "10s"}},
        "scaling.down_delay: 10s is shorter than a start may take (5m), so replicas may be given "
        "up that are needed again before others are ready: set it to 5m or more, or lower "
        "health.startup.deadline",
        {"health": SLOW, "scaling": {"min": 1, "down_delay": "5m"}},
    ),
    "answered before it can be awake": (
        {"health": SLOW, "scaling": {"idle": {"stop_after": None}}},
        "queue.timeout: 30s is shorter than a start may take (5m), so the request that wakes it "
        "may be answered with 503: set it to 5m or more, set scaling.min to 1, or lower "
        "health.startup.deadline",
        {"health": SLOW, "scaling": {"min": 1}},
    ),
    "nothing to decide": (
        {"scaling": {"min": 3, "max": 3, "rules": [{"metric": "rps", "target": 5}]}},
        "scaling.rules: have no effect while min and max are both 3: raise max, lower min, or "
        "remove the rules",
        {"scaling": {"min": 3, "max": 3}},
    ),
    "tolerance of everything": (
        {"scaling": {"tolerance": "100%"}},
        "scaling.tolerance: 100% is so much that even no load at all scales nothing down: set it "
        "to less than 100%, such as 10%",
        {"scaling": {"tolerance": "100%", "down": {"tolerance": "10%"}}},
    ),
    "tolerance of every way down": (
        {"scaling": {"down": {"tolerance": "150%"}}},
        "scaling.down.tolerance: 150% is so much that even no load at all scales nothing down: set "
        "it to less than 100%, such as 10%",
        {"scaling": {"up": {"tolerance": "150%"}}},
    ),
    "a latency that cannot be measured": (
        {"scaling": {"rules": [{"metric": "latency", "target": "2ms"}]}},
        "scaling.rules.0.target: 2ms is too short to be measured: set it to 5ms or more",
        {"scaling": {"rules": [{"metric": "latency", "target": "5ms"}]}},
    ),
    "a wait that cannot be measured": (
        {"scaling": {"rules": [{"metric": "queue_wait", "target": "1ms"}]}},
        "scaling.rules.0.target: 1ms is too short to be measured: set it to 5ms or more",
        {"scaling": {"rules": [{"metric": "queue_wait", "target": "100ms"}]}},
    ),
    "a share of what nobody limits": (
        {"scaling": {"rules": [{"metric": "cpu"}]}},
        "scaling.rules.0.target: is a share of one core, of which a replica may use more: set "
        "resources.cpu",
        {"scaling": {"rules": [{"metric": "cpu"}]}, "resources": {"cpu": 0.5}},
    ),
    "schedules that contradict each other": (
        {"scaling": {"rules": [{**DAY, "min": 5}, {**EVENING, "max": 3}]}},
        "scaling.rules.0.min: 5 is above the max (3) of rules[1], which wins while both are "
        "active: let one end before the other begins",
        {"scaling": {"rules": [{**DAY, "min": 5}, {**NIGHT, "max": 3}]}},
    ),
}  # fmt: skip


def said(keys: dict[str, Any], runtime: str = "docker") -> list[str]:
    service = Service.model_validate({"name": "web", "image": "web:1", **keys})
    found = stability.of_service(service, runtime)
    return [f"{'.'.join(map(str, finding.place))}: {finding.message}" for finding in found]


@pytest.mark.parametrize(("unwise", "warning", "better"), CASES.values(), ids=CASES)
def test_each_warning_has_a_remedy_that_silences_it(
    unwise: dict[str, Any], warning: str, better: dict[str, Any]
) -> None:
    assert said(unwise) == [warning]
    assert said(better) == []


def test_the_defaults_are_wise() -> None:
    assert said({}) == []
    assert said({"scaling": {"min": 3, "max": 3}}) == []


def test_a_share_of_a_core_is_all_that_a_process_has() -> None:
    assert said({"scaling": {"rules": [{"metric": "cpu"}]}}, "process") == []


def test_endpoints_are_not_scaled() -> None:
    assert said({"image": None, "endpoints": ["10.0.0.7:80"], "concurrency": 1}) == []


def test_the_time_between_decisions_is_the_autoscalers() -> None:
    assert stability.DECIDED_EVERY == {"tidegate": decider.TICK, "kpa": kpa.TICK}


def test_memory_is_an_error_without_its_limit() -> None:
    """A share of nothing cannot be reckoned at all."""
    scaling = Scaling(rules=(MemoryRule(metric="memory"),))
    service = Service(name="web", image="web:1", scaling=scaling)
    (finding,) = checks.of_service(service, "docker")
    assert (finding.place, finding.message) == (
        ("scaling", "rules", 0, "metric"),
        "needs resources.memory, of which its target is a share",
    )
    limited = service.model_copy(update={"resources": Resources(memory=2**28)})
    assert not list(checks.of_service(limited, "docker"))


@pytest.mark.parametrize(
    ("seconds", "places"),
    [
        (0.2, []),
        (5.0, []),
        (30.0, []),
        (30.2, [("queue", "timeout")]),
        (61.0, [("scaling", "idle", "stop_after"), ("queue", "timeout")]),
    ],
)
def test_what_starts_were_seen_to_take_is_measured_against_too(
    seconds: float, places: list[tuple[str, ...]]
) -> None:
    found = list(stability.of_measured(Service(name="web", image="web:1"), seconds))
    assert [finding.place for finding in found] == places
    for finding in found:
        assert "is shorter than a start took lately (" in finding.message


# In a file

UNWISE = """\
defaults:
  concurrency: 1
services:
  web:
    command: app
    scaling:
      panic_window: 60s
  api: {command: app}
"""


def test_a_warning_has_its_line_and_one_of_the_defaults_is_said_once() -> None:
    settings = parse(UNWISE, Path("t.yaml"))
    assert [line.partition(" is ")[0] for line in settings.warnings] == [
        "t.yaml:2: warning: defaults.concurrency: 1",
        "t.yaml:7: warning: services.web.scaling.panic_window: 1m",
    ]


def test_a_file_with_errors_is_told_the_errors_alone() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(UNWISE + "  Bad: {}\n")
    assert "warning" not in str(caught.value)


LIMITED = """\
runtime: docker
host: {memory: %s}
services:
  small: {image: "a:1", resources: {memory: 64MiB}}
  web: {image: "a:1", resources: {memory: 512MiB}, scaling: {min: %s}}
  free: {image: "a:1", scaling: {min: 2}}
"""


@pytest.mark.parametrize(
    ("memory", "least", "said"),
    [
        ("511MiB", 0, "the 512MiB that one replica of web may use (resources.memory), so it is"),
        ("1535MiB", 3, "the 1536MiB that the replicas that always run may use (scaling.min), so"),
        ("512MiB", 0, None),
        ("1536MiB", 3, None),
        ("1%", 3, None),
        ("null", 3, None),
    ],
)
def test_memory_of_the_host_that_can_never_do_is_said(
    memory: str, least: int, said: str | None
) -> None:
    warnings = parse(LIMITED % (memory, least), Path("t.yaml")).warnings
    begin = f"t.yaml:2: warning: host.memory: {memory} is less than {said}"
    assert [line.startswith(begin) for line in warnings] == ([True] if said else [])
