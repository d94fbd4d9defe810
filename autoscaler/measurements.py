"""What was measured for rules by other means than reports, kept while services sleep as well.

Pure. A policy has the same mapping as its service has here: it is changed in place.
"""

from collections.abc import Collection, Mapping, Sequence

from autoscaler.gauges import Gauge, believed
from autoscaler.rules import Means, Wish, wishes
from config.rules import Asked, MetricRule

Gauges = dict[MetricRule, Gauge]


class Measurements:
    """By service."""

    def __init__(self) -> None:
        self._gauges: dict[str, Gauges] = {}

    def of(self, service: str) -> Gauges | None:
        return self._gauges.get(service)

    def keep(self, service: str, gauges: Gauges) -> None:
        """Of a policy that was just made."""
        self._gauges.setdefault(service, gauges)

    def note(self, service: str, rule: MetricRule, gauge: Gauge) -> None:
        self._gauges.setdefault(service, {})[rule] = gauge

    def configure(self, rules: Mapping[str, Collection[MetricRule]]) -> None:
        """What belongs to no rule any more is forgotten."""
        for service, gauges in tuple(self._gauges.items()):
            for rule in gauges.keys() - set(rules.get(service, ())):
                del gauges[rule]
            if service not in rules:
                del self._gauges[service]

    def wishes(self, service: str, now: float) -> Sequence[Wish]:
        """Of those rules that are asked for while it sleeps."""
        gauges = self._gauges.get(service, {})
        present: Gauges = {
            rule: believed(gauge, now) for rule, gauge in gauges.items() if isinstance(rule, Asked)
        }
        return wishes(tuple(present), Means(0.0), present)
