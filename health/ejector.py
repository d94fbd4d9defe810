"""Passive health: what requests met takes a replica out for a while, and lets it back.

Fed with outcomes by the gateway. One timer stands for the earliest return, and only while
something is ejected.
"""

import asyncio
import logging
from collections.abc import Callable

from cluster.events import Events
from cluster.lifecycle import State
from cluster.messages import Outcome, OutcomeKind
from cluster.registry import Registry
from config.service import Outliers
from health.metrics import HealthMetrics
from health.outlier import Detector, Ejection

_WORDS = {
    OutcomeKind.SERVER_ERROR: "an answer 5xx",
    OutcomeKind.REFUSED: "connection refused",
    OutcomeKind.RESET: "connection reset",
    OutcomeKind.TIMEOUT: "no answer in time",
}


class Ejector:
    """`confirm` makes one probe at once of a replica that refused a connection."""

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
            self._eject(detector, outcome, limits)
        self._tidy(outcome.service, detector)

    def _eject(self, detector: Detector, outcome: Outcome, limits: Outliers) -> None:
        ready = self._ready(outcome.service)
        ejection = detector.eject(outcome.replica, limits, ready, self._clock())
        if ejection is None:
            return
        self._metrics.ejections.labels(outcome.service).inc()
        self._registry.eject(outcome.replica, True)
        self._rearm()
        self._tell_ejection(outcome, ejection)

    # The way back

    def _review(self, service: str) -> None:
        detector = self._detectors.get(service)
        if detector is None:
            return
        known = [replica.id for replica in self._registry.replicas(service)]
        limits = self._limits(service) or Outliers(failures=0)
        ready = self._ready(service)
        back = detector.review(ready, known, limits, self._clock())
        self._tidy(service, detector)
        for replica in back:
            self._registry.eject(replica, False)
        self._tell_returns(service, [replica for replica in back if replica in ready])
        if back:
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

    def _tell_ejection(self, outcome: Outcome, ejection: Ejection) -> None:
        self._events.emit(
            "replica-ejected",
            f"{outcome.replica}: {ejection.failures} requests in a row failed "
            f"(last: {_WORDS[outcome.kind]}); it gets none for {ejection.seconds:g} s, "
            f"see `tidegate logs {outcome.service}`",
            service=outcome.service,
            replica=outcome.replica,
            level=logging.WARNING,
        )

    def _tell_returns(self, service: str, replicas: list[str]) -> None:
        for replica in replicas:
            self._events.emit(
                "replica-returned",
                f"{replica}: its ejection is over, it gets requests again",
                service=service,
                replica=replica,
            )
