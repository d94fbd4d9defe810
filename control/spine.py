"""Where the gateway's messages go: all who need them, each called at once."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autoscaler.scaler import Scaler
from cluster.host import HostMemory
from cluster.messages import Drained, LoadReport, Outcome, Wake
from cluster.reconciler import Reconciler
from health.ejector import Ejector


class InFlight:
    """Requests in flight by replica, as each gateway reported last: victims are chosen by it."""

    def __init__(self) -> None:
        self._reported: dict[str, dict[str, Mapping[str, int]]] = {}

    def report(self, message: LoadReport) -> None:
        by_gateway = self._reported.setdefault(message.service, {})
        if message.pending:
            by_gateway[message.source] = dict(message.pending)
        else:
            by_gateway.pop(message.source, None)
        if not by_gateway:
            del self._reported[message.service]

    def of(self, service: str) -> Mapping[str, int]:
        total = Counter[str]()
        for counts in self._reported.get(service, {}).values():
            total.update(counts)
        return total


@dataclass(frozen=True, slots=True)
class Spine:
    """Implements what the gateway asks for (gateway.context.GatewayEvents)."""

    scaler: Scaler
    ejector: Ejector
    reconciler: Reconciler
    host: HostMemory
    in_flight: InFlight
    _on_report: list[Callable[[LoadReport], None]] = field(default_factory=list)

    def on_report(self, listener: Callable[[LoadReport], None]) -> None:
        """Called with each report, after those who act on it."""
        self._on_report.append(listener)

    def wake(self, message: Wake) -> None:
        self.scaler.wake(message)

    def report(self, message: LoadReport) -> None:
        self.in_flight.report(message)
        self.scaler.report(message)
        self.ejector.report(message)
        for listener in self._on_report:
            listener(message)
        if not message.keeping_awake:
            self.host.fell_idle()

    def outcome(self, message: Outcome) -> None:
        self.ejector.record(message)

    def drained(self, message: Drained) -> None:
        self.reconciler.drained(message)
