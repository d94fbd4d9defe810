"""Where the gateway's messages go: all who need them, each called at once."""

from collections.abc import Mapping

from autoscaler.scaler import Scaler
from cluster.host import HostMemory
from cluster.messages import Drained, LoadReport, Outcome, Wake
from cluster.reconciler import Reconciler
from health.ejector import Ejector
from tidegate.recorder import Recorder


class Spine:
    """Implements what the gateway asks for; also remembers who is busy, to choose victims by."""

    def __init__(self) -> None:
        self._scaler: Scaler
        self._ejector: Ejector
        self._reconciler: Reconciler
        self._host: HostMemory
        self._recorder: Recorder
        self._pending: dict[tuple[str, str], Mapping[str, int]] = {}

    def connect(
        self,
        scaler: Scaler,
        ejector: Ejector,
        reconciler: Reconciler,
        host: HostMemory,
        recorder: Recorder,
    ) -> None:
        self._scaler, self._ejector, self._reconciler = scaler, ejector, reconciler
        self._host = host
        self._recorder = recorder

    def pending(self, service: str) -> Mapping[str, int]:
        """Requests in flight by replica, as last reported."""
        total: dict[str, int] = {}
        for (name, _), counts in self._pending.items():
            if name == service:
                for replica, count in counts.items():
                    total[replica] = total.get(replica, 0) + count
        return total

    def wake(self, message: Wake) -> None:
        self._scaler.wake(message)

    def report(self, message: LoadReport) -> None:
        key = message.service, message.source
        if message.pending:
            self._pending[key] = dict(message.pending)
        else:
            self._pending.pop(key, None)
        self._scaler.report(message)
        self._ejector.report(message)
        self._recorder.report(message)
        if not message.keeping_awake:
            self._host.fell_idle()

    def outcome(self, message: Outcome) -> None:
        self._ejector.record(message)

    def drained(self, message: Drained) -> None:
        self._reconciler.drained(message)
