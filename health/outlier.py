"""Ejection by what real traffic meets: which replica leaves for a while, how long, how many.

Pure; one Detector for each service in which something failed. The rules are Envoy's outlier
detection: failures in a row eject, each ejection in a row lasts longer, quiet time is forgiven.
Unlike Envoy's, the share of ejected replicas is a hard limit, and the last one always stays
(fail open: a doubtful replica is better than none). And where all that serve fail alike, none is
an outlier: nobody is ejected, and those that were are let back.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from config.service import Outliers

LONGEST = 300.0


@dataclass(frozen=True, slots=True)
class Ejection:
    """`seconds` out of service, the `count`th time in a row."""

    replica: str
    seconds: float
    count: int
    failures: int


@dataclass(slots=True)
class _Record:
    failures: int = 0  # in a row; kept while it is ejected
    ejections: int = 0
    until: float | None = None  # ejected until
    returned: float = 0.0


@dataclass(slots=True)
class Detector:
    """The records of one service's replicas that failed."""

    _records: dict[str, _Record] = field(default_factory=dict)

    def succeed(self, replica: str, limits: Outliers, now: float) -> None:
        record = self._records.get(replica)
        # What was sent before the ejection still comes back, and is no news.
        if record is None or record.until is not None:
            return
        record.failures = 0
        if not _in_a_row(record, limits, now):
            del self._records[replica]

    def fail(self, replica: str, limits: Outliers) -> bool:
        """True when `eject` should be asked: at each full `failures` in a row."""
        if not limits.failures:
            return False
        record = self._records.setdefault(replica, _Record())
        if record.until is not None:
            return False
        record.failures += 1
        return record.failures % limits.failures == 0

    def is_shared(self, replica: str, limits: Outliers, ready: Collection[str]) -> bool:
        """Whether all others that serve fail as well, at least half as often in a row."""
        others = set(ready) - {replica}
        serving = others - set(self.ejected())
        enough = (limits.failures + 1) // 2
        return bool(others) and all(self.failures(other) >= enough for other in serving)

    def eject(
        self, replica: str, limits: Outliers, ready: Collection[str], now: float
    ) -> Ejection | None:
        """None when too many are out already. `ready` includes the ejected ones."""
        if replica not in ready or len(self.ejected()) >= allowed(limits, len(ready)):
            return None
        record = self._records.setdefault(replica, _Record())
        record.ejections = _in_a_row(record, limits, now) + 1
        seconds = duration(limits, record.ejections)
        record.until = now + seconds
        return Ejection(replica, seconds, record.ejections, record.failures)

    def release(self, now: float) -> list[str]:
        """All return: it was not their fault, so this ejection is not counted. They still fail, as
        far as is known."""
        back = self.ejected()
        for replica in back:
            record = self._records[replica]
            record.until, record.returned = None, now
            record.ejections -= 1
        return back

    def review(
        self, ready: Collection[str], known: Collection[str], limits: Outliers, now: float
    ) -> list[str]:
        """Who returns: their time is over, they are not ready any more, or too few are left."""
        back = [r for r in self.ejected() if self._is_over(r, now) or r not in ready]
        out = sorted((r for r in self.ejected() if r not in back), key=self._due)
        back += out[: max(0, len(out) - allowed(limits, len(ready)))]
        for replica in back:
            record = self._records[replica]
            record.until, record.returned, record.failures = None, now, 0
        for replica in self._records.keys() - known:
            del self._records[replica]
        return back

    def ejected(self) -> list[str]:
        return [replica for replica, record in self._records.items() if record.until is not None]

    def next_due(self) -> float | None:
        return min(map(self._due, self.ejected()), default=None)

    @property
    def is_empty(self) -> bool:
        return not self._records

    def failures(self, replica: str) -> int:
        """In a row."""
        record = self._records.get(replica)
        return 0 if record is None else record.failures

    def _due(self, replica: str) -> float:
        until = self._records[replica].until
        return float("inf") if until is None else until

    def _is_over(self, replica: str, now: float) -> bool:
        return self._due(replica) <= now


def is_on(limits: Outliers) -> bool:
    return (limits.failures > 0 or limits.compares) and limits.eject_for > 0


def allowed(limits: Outliers, ready: int) -> int:
    """How many of the ready replicas may be out at once; never all."""
    if not is_on(limits):
        return 0
    # 29 % of 100 is 28.999… in binary.
    share = int(ready * limits.max_ejected + 1e-9)
    return max(0, min(share, ready - 1))


def duration(limits: Outliers, count: int) -> float:
    """Seconds of the `count`th ejection in a row."""
    return min(limits.eject_for * count, max(LONGEST, limits.eject_for))


def _in_a_row(record: _Record, limits: Outliers, now: float) -> int:
    """One ejection is forgiven for each `eject_for` of quiet since the return."""
    if record.until is not None or not is_on(limits):
        return record.ejections
    return max(0, record.ejections - int((now - record.returned) / limits.eject_for))
