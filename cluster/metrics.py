"""What the control plane counts about replicas and the engine that runs them.

Children exist only for services that were used; nothing here is on the request path.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cluster.lifecycle import State
from cluster.model import Replica
from cluster.registry import Registry

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ENDED = (State.STOPPED, State.FAILED)


class HostMetrics:
    """What replicas ask of the machine, all services together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.starts_under_way = Gauge(
            "tidegate_starts_under_way",
            "Replicas that hold one of the host's places for starts (host.starts).",
            registry=registry,
        )
        self.starts_waiting = Gauge(
            "tidegate_starts_waiting",
            "Replicas that wait for one of the host's places for starts.",
            registry=registry,
        )
        self.memory = Gauge(
            "tidegate_host_memory_bytes",
            "What host.memory allows all replicas together, and how much of it is taken.",
            ["kind"],
            registry=registry,
        )
        self.full = Counter(
            "tidegate_host_full",
            "How often replicas were not started because host.memory was used up.",
            ["service"],
            registry=registry,
        )


class ClusterMetrics:
    """Instruments of the reconciler and discovery."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.starts = Counter(
            "tidegate_replica_starts",
            "Starts of replicas by outcome.",
            ["service", "outcome"],
            registry=registry,
        )
        self.evictions = Counter(
            "tidegate_evictions",
            "Replicas taken out for good because they failed.",
            ["service", "reason"],
            registry=registry,
        )
        self.cold_start_seconds = Histogram(
            "tidegate_cold_start_seconds",
            "How long starts took: start = the engine, ready = from then until the replica could"
            " serve, total = both and the wait for a place in the start budget.",
            ["service", "phase"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.call_seconds = Histogram(
            "tidegate_runtime_call_seconds",
            "How long calls to the engine took.",
            ["call"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.call_errors = Counter(
            "tidegate_runtime_errors",
            "Calls to the engine that failed.",
            ["call"],
            registry=registry,
        )
        self.host = HostMetrics(registry)
        self.rollouts = Counter(
            "tidegate_rollouts",
            "Rollouts that ended, by outcome: completed or failed.",
            ["service", "outcome"],
            registry=registry,
        )
        self.rolling = Gauge(
            "tidegate_rollout_under_way",
            "1 while replicas of a service are being replaced.",
            ["service"],
            registry=registry,
        )


class ReplicaLedger(Collector):
    """`tidegate_replicas`, `tidegate_replica_seconds_total` and `tidegate_trouble`, read from the
    registry."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._born: dict[str, float] = {}
        self._spent: Tally[str] = Tally()
        registry.on_replica(self._follow)

    def _follow(self, replica: Replica) -> None:
        now = self._clock()
        if replica.state not in _ENDED:
            self._born.setdefault(replica.id, now)
        elif (born := self._born.pop(replica.id, None)) is not None:
            self._spent[replica.service] += now - born  # type: ignore[assignment]

    def _code(self, service: str) -> str | None:
        """Of a trouble that somebody suffers from."""
        trouble = self._registry.trouble(service)
        is_wanted = service in self._registry.specs and self._registry.desired(service).replicas > 0
        return trouble.code if trouble is not None and is_wanted and not trouble.at_once else None

    def collect(self) -> Iterator[Metric]:
        now = self._clock()
        replicas = GaugeMetricFamily(
            "tidegate_replicas", "Replicas by state.", labels=["service", "state"]
        )
        seconds = CounterMetricFamily(
            "tidegate_replica_seconds", "Time that replicas existed.", labels=["service"]
        )
        troubles = GaugeMetricFamily(
            "tidegate_trouble",
            "1 while a service cannot have the replicas it wants, by the code of the reason.",
            labels=["service", "code"],
        )
        for service in self._registry.used_services():
            if (code := self._code(service)) is not None:
                troubles.add_metric([service, code], 1)
            present = self._registry.replicas(service)
            for state, count in Tally(replica.state for replica in present).items():
                replicas.add_metric([service, state], count)
            alive = sum(now - self._born.get(replica.id, now) for replica in present)
            seconds.add_metric([service], self._spent[service] + alive)
        yield replicas
        yield seconds
        yield troubles
