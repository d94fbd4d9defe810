"""Rules that are measured elsewhere, as an operator writes them."""

from config.rules import CpuRule, CustomRule, JsonRule, MemoryRule, PrometheusRule, RedisRule
from config.scaling import Scaling
from tests.config.parsing import web

TEXT = """\
command: worker
resources: {memory: 64MiB}
scaling:
  rules:
    - metric: prometheus
      url: https://me:hunter2@prometheus:9090/prefix?dedup=true
      query: sum(rate(jobs_total[1m]))
      target: 100
      headers: {Authorization: Bearer hunter2, X-Scope.OrgID: 1.10}
    - {metric: json, url: "http://[::1]:8000/a", value: "$.jobs[0].count", target: 5, activation: 2}
    - {metric: redis, url: "redis://:p%40ss@cache:6379/0", list: jobs, target: 5, fallback: 0}
    - {metric: redis, url: "unix:///run/redis.sock", stream: s, group: g, target: 5, every: 1s}
    - {metric: custom, name: depth, options: {queue: a, retries: 3}, target: 0.5, failures: 1}
    - {metric: cpu}
    - {metric: memory, target: 90%}
"""


def test_each_kind_is_read_with_its_defaults() -> None:
    prometheus, json, listed, stream, custom, cpu, memory = web(TEXT).scaling.metric_rules
    assert isinstance(prometheus, PrometheusRule)
    assert (prometheus.every, prometheus.timeout, prometheus.failures) == (15.0, 3.0, 3)
    assert (prometheus.activation, prometheus.fallback) == (0.0, None)
    assert dict(prometheus.headers)["X-Scope.OrgID"] == "1.10", "text as written"
    assert isinstance(json, JsonRule)
    assert (json.value, json.activation) == ("$.jobs[0].count", 2.0)
    assert isinstance(listed, RedisRule)
    assert isinstance(stream, RedisRule)
    assert (listed.fallback, stream.group, stream.every) == (0, "g", 1.0)
    assert isinstance(custom, CustomRule)
    assert dict(custom.options) == {"queue": "a", "retries": "3"}
    assert isinstance(cpu, CpuRule)
    assert isinstance(memory, MemoryRule)
    assert (cpu.target, memory.target) == (0.7, 0.9)


def test_written_and_read_again_they_are_the_same() -> None:
    """As gateway processes are told of them."""
    scaling = web(TEXT).scaling
    again = Scaling.model_validate(scaling.model_dump(mode="json", exclude_unset=True))
    assert again == scaling
