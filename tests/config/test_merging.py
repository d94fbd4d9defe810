"""A service with the defaults of the file under it."""

from pathlib import Path

import pytest

from config import loader
from config.service import Service


def service(defaults: str, text: str) -> Service:
    file = f"runtime: docker\ndefaults: {defaults}\nservices: {{web: {text}}}\n"
    return loader.parse(file, Path("/srv/tidegate.yaml"), {}).services["web"]


def test_mappings_are_merged_at_every_depth() -> None:
    found = service(
        "{scaling: {min: 1, idle: {freeze_after: 10s}}, timeouts: {idle: 9s}}",
        "{image: a, scaling: {max: 5, idle: {stop_after: 20s}}}",
    )
    assert (found.scaling.min, found.scaling.max) == (1, 5)
    assert (found.scaling.idle.freeze_after, found.scaling.idle.stop_after) == (10.0, 20.0)
    assert found.timeouts.idle == 9.0


def test_env_and_labels_are_merged_by_name() -> None:
    found = service(
        "{env: {A: 1, B: 1}, labels: {a: x}}", "{image: a, env: {B: 2}, labels: {b: y}}"
    )
    assert dict(found.env) == {"A": "1", "B": "2"}
    assert dict(found.labels) == {"a": "x", "b": "y"}


def test_lists_are_replaced() -> None:
    rules = "{scaling: {rules: [{metric: rps, target: 5}]}}"
    found = service(rules, "{image: a, scaling: {rules: [{metric: concurrency, target: 2}]}}")
    assert [rule.metric for rule in found.scaling.metric_rules] == ["concurrency"]


def test_null_takes_a_default_away() -> None:
    probe = "{health: {liveness: {http: /live}}}"
    assert service(probe, "{image: a, health: {liveness: null}}").health.liveness is None


def test_another_kind_of_probe_replaces_the_inherited_one() -> None:
    probe = "{health: {startup: {http: /up, deadline: 9s}}}"
    found = service(probe, "{image: a, health: {startup: {exec: [ok]}}}").health.startup
    assert (found.http, found.exec, found.deadline) == (None, ("ok",), 9.0)
    kept = service(probe, "{image: a, health: {startup: {every: 1s}}}").health.startup
    assert (kept.http, kept.every, kept.deadline) == ("/up", 1.0, 9.0)


def test_endpoints_inherit_nothing_that_is_for_replicas_we_run() -> None:
    found = service("{image: a, env: {A: 1}, scaling: {max: 2}, drain: 3s}", "{endpoints: a:1}")
    assert (found.image, found.env, found.scaling.max, found.drain) == (None, (), 10, 3.0)


def test_a_service_with_an_image_inherits_no_endpoints() -> None:
    assert service("{endpoints: a:1}", "{image: a}").endpoints == ()
    assert service("{endpoints: a:1}", "{}").endpoints == ("a:1",)


def test_endpoints_are_probed_whatever_else_the_defaults_say_of_health() -> None:
    found = service("{health: {outliers: {failures: 2}}}", "{endpoints: a:1}").health
    assert found.outliers.failures == 2
    assert found.readiness is not None


@pytest.mark.parametrize(
    "key", ["drain: 5s", "retries: {budget: 30%}", "resources: {memory: 1MiB}"]
)
def test_what_is_default_and_what_is_written_mean_the_same(key: str) -> None:
    inherited = service(f"{{{key}}}", "{image: a}")
    written = service("{}", f"{{image: a, {key}}}")
    assert inherited == written
    assert hash(inherited) == hash(written)
