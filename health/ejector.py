"""Passive health: what requests met takes a replica out for a while, and lets it back.

Fed by the gateway: each failure at once, and once a second what replicas did where they are
compared. One timer stands for the earliest return, and only while something is ejected. An ejected
replica is never ended for that; only its own probes can do so.
"""

import asyncio
import logging
from collections.abc import Callable

from cluster.events import Events
from cluster.lifecycle import State
from cluster.messages import LoadReport, Outcome, OutcomeKind
from cluster.registry import Registry
from config.service import Outliers
from health.metrics import HealthMetrics
from health.outlier import Detector
from health.siblings import Comparison

_WORDS = {
    OutcomeKind.SERVER_ERROR: "an answer 5xx",
    OutcomeKind.REFUSED: "connection refused",
    OutcomeKind.RESET: "connection reset",
    OutcomeKind.TIMEOUT: "no answer in time",
}
_BROKEN = frozenset({OutcomeKind.REFUSED, OutcomeKind.RESET, OutcomeKind.TIMEOUT})


class Ejector:
    """`confirm` makes one probe at once, of a replica that refused a connection and of one that is
    ejected because it does not answer: it may be down rather than doubtful."""

    def __init__(
        self,
        registry: Registry,
        events: Events,
        clock: Callable[[], float],
        metrics: HealthMetrics,
        confirm: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._confirm = confirm
        self._detectors: dict[str, Detector] = {}
        self._comparisons: dict[str, Comparison] = {}
        self._timer: asyncio.TimerHandle | None = None
        registry.on_service(self._review)

    def record(self, outcome: Outcome) -> None:
        """How one request ended. Late news about replicas that are gone is ignored."""
        known = self._registry.replica(outcome.replica)
        limits = self._limits(outcome.service)
        if known is None or limits is None:
            return
        if outcome.kind is OutcomeKind.OK:
            self._succeeded(outcome, limits)
        elif known.state is State.READY:
            self._failed(outcome, limits)

    def report(self, message: LoadReport) -> None:
        """What replicas did, as one gateway saw it; replicas that are gone are ignored."""
        limits = self._limits(message.service)
        if not message.served or limits is None or not limits.compares:
            return
        comparison = self._comparisons.setdefault(message.service, Comparison())
        serving = self._serving(message.service)
        comparison.record([one for one in message.served if one.replica in serving], message.at)
        self._compare(message.service, comparison, limits)

    def close(self) -> None:
        """Stop the timer; ejections stay as they are."""
        self._set_timer(None)

    def _succeeded(self, outcome: Outcome, limits: Outliers) -> None:
        detector = self._detectors.get(outcome.service)
        if detector is not None:
            detector.succeed(outcome.replica, limits, self._clock())
            self._tidy(outcome.service, detector)

    def _failed(self, outcome: Outcome, limits: Outliers) -> None:
        if outcome.kind is OutcomeKind.REFUSED:
            self._confirm(outcome.replica)
        detector = self._detectors.setdefault(outcome.service, Detector())
        if detector.fail(outcome.replica, limits):
            self._judge(detector, outcome, limits)
        self._tidy(outcome.service, detector)

    def _judge(self, detector: Detector, outcome: Outcome, limits: Outliers) -> None:
        """It has failed often enough in a row."""
        service, replica = outcome.service, outcome.replica
        if detector.is_shared(replica, limits, self._ready(service)):
            self._release(service, detector)
            return
        last = _WORDS[outcome.kind]
        why = f"{detector.failures(replica)} requests in a row failed (last: {last})"
        if self._eject(service, replica, limits, why) and outcome.kind in _BROKEN:
            self._confirm(replica)

    def _compare(self, service: str, comparison: Comparison, limits: Outliers) -> None:
        """The worst first, as long as there is one and it may go."""
        going = True
        while going:
            serving, grown = self._serving(service), self._grown(service, limits)
            one = comparison.worst(serving, grown, limits, self._clock())
            going = one is not None and self._eject(service, one.replica, limits, one.why)

    def _eject(self, service: str, replica: str, limits: Outliers, why: str) -> bool:
        """False when too many are out already."""
        detector = self._detectors.setdefault(service, Detector())
        ejection = detector.eject(replica, limits, self._ready(service), self._clock())
        if ejection is None:
            self._tidy(service, detector)
            return False
        if (comparison := self._comparisons.get(service)) is not None:
            comparison.forget(replica)
        self._metrics.ejections.labels(service).inc()
        self._registry.eject(replica, True, f"ejected for {ejection.seconds:g} s: {why}")
        self._count(service, detector)
        self._rearm()
        self._tell_ejection(service, replica, f"{why}; it gets none for {ejection.seconds:g} s")
        return True

    # The way back

    def _release(self, service: str, detector: Detector) -> None:
        """All that serve fail alike: who is out may as well be in."""
        back = detector.release(self._clock())
        self._let_back(service, detector, back)
        for replica in back:
            self._tell_return(service, replica, "all others fail as well")

    def _review(self, service: str) -> None:
        known = [replica.id for replica in self._registry.replicas(service)]
        self._tidy_comparison(service)
        detector = self._detectors.get(service)
        if detector is None:
            return
        limits = self._limits(service) or Outliers(failures=0)
        ready = self._ready(service)
        back = detector.review(ready, known, limits, self._clock())
        self._tidy(service, detector)
        self._let_back(service, detector, back)
        for replica in back:
            if replica in ready:
                self._tell_return(service, replica, "its ejection is over")

    def _let_back(self, service: str, detector: Detector, back: list[str]) -> None:
        for replica in back:
            self._registry.eject(replica, False)
        if back:
            self._count(service, detector)
            self._rearm()

    def _on_timer(self) -> None:
        self._timer = None
        for service in tuple(self._detectors):
            self._review(service)
        self._rearm()

    def _rearm(self) -> None:
        dues = (detector.next_due() for detector in self._detectors.values())
        self._set_timer(min((due for due in dues if due is not None), default=None))

    def _set_timer(self, due: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._on_timer)

    def _tidy_comparison(self, service: str) -> None:
        """What a replica did before it was not ready says nothing of it."""
        comparison, limits = self._comparisons.get(service), self._limits(service)
        if comparison is None:
            return
        comparison.keep(self._ready(service))
        if comparison.is_empty or limits is None or not limits.compares:
            del self._comparisons[service]

    def _tidy(self, service: str, detector: Detector) -> None:
        if detector.is_empty:
            self._detectors.pop(service, None)

    # Facts and words

    def _limits(self, service: str) -> Outliers | None:
        spec = self._registry.specs.get(service)
        return spec.health.outliers if spec else None

    def _ready(self, service: str) -> set[str]:
        replicas = self._registry.replicas(service)
        return {replica.id for replica in replicas if replica.state is State.READY}

    def _serving(self, service: str) -> set[str]:
        detector = self._detectors.get(service)
        return self._ready(service).difference(detector.ejected() if detector else ())

    def _grown(self, service: str, limits: Outliers) -> set[str]:
        """Ready for so long that what it does is not its warming up."""
        spec, now = self._registry.specs[service], self._clock()
        young = max(limits.window, spec.slow_start)
        replicas = self._registry.replicas(service)
        return {replica.id for replica in replicas if now - replica.since >= young}

    def _count(self, service: str, detector: Detector) -> None:
        self._metrics.ejected_now(service, len(detector.ejected()))

    def _tell_ejection(self, service: str, replica: str, what: str) -> None:
        self._events.emit(
            "replica-ejected",
            f"{replica}: {what}, see `tidegate logs {service}`",
            service=service,
            replica=replica,
            level=logging.WARNING,
        )

    def _tell_return(self, service: str, replica: str, why: str) -> None:
        self._events.emit(
            "replica-returned",
            f"{replica}: {why}, it gets requests again",
            service=service,
            replica=replica,
        )
