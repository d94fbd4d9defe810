"""What was decided for one service: the decisions that changed something, and the latest one.

Pure. A tick that only confirms what is replaces the confirmation before it, so that the history
reaches back over changes and not over seconds. What came of the latest change is added as it is
observed, until it is reached or the next one comes.
"""

from dataclasses import replace

from autoscaler.decision import Decision
from autoscaler.record import Record, pack, unpack
from autoscaler.result import LONGEST_TROUBLE, Presence, Result, Stage, follow, way_of

KEEP = 100
# Of a Python object of bytes and of its place in a list.
_EACH = 41


class History:
    """At most `KEEP` changes; packed, but for one whose result is awaited and a confirmation."""

    __slots__ = ("_confirmation", "_known", "_open", "_outcome", "_packed", "_since", "size")

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._open: Record | None = None
        self._since = 0.0
        self._known: str | None = None
        self._outcome: tuple[object, ...] | None = None
        self._confirmation: Decision | None = None
        self.size = 0  # bytes of what is packed

    def add(self, decision: Decision, now: float) -> bool:
        """Whether it changed something. `decision.at` is wall-clock time, `now` the loop's."""
        outcome = decision.replicas, decision.frozen, decision.mode
        if outcome == self._outcome:
            self._confirmation = decision
            return False
        was_frozen = self._outcome is not None and bool(self._outcome[1])
        self._close(Stage.REPLACED, now)
        self._outcome, self._confirmation, self._since = outcome, None, now
        self._known = None
        way = way_of(decision.before, decision.replicas, decision.frozen, was_frozen)
        if way is None:
            self._keep(Record.of(decision))
        else:
            self._open = Record.of(decision, Result(way, decision.replicas, 0, 0.0))
        return True

    @property
    def is_open(self) -> bool:
        """Whether a result is awaited."""
        return self._open is not None

    def observe(self, seen: Presence, now: float) -> None:
        """What has come of the latest change by now (loop time)."""
        if self._open is None or self._open.result is None:
            return
        if self._known is None:
            self._known = seen.trouble[:LONGEST_TROUBLE]
        result = follow(self._open.result, seen, now - self._since, self._known)
        self._open = replace(self._open, result=result)
        if result.stage is Stage.REACHED:
            self._close(Stage.REACHED, now)

    def newest_first(self, now: float | None = None) -> list[Record]:
        """The latest confirmation, if any, and the changes. `now` is loop time: what is awaited
        still has been awaited until then."""
        changes = [unpack(packed) for packed in self._packed]
        if self._open is not None:
            changes.append(self._awaited(self._open, now))
        ends = [*(record.at for record in changes[1:]), None][: len(changes)]
        dated = [replace(record, until=end) for record, end in zip(changes, ends, strict=True)]
        if self._confirmation is not None:
            dated.append(_confirmed(self._confirmation, dated[-1]))
        return dated[::-1]

    def latest(self, now: float | None = None) -> Record | None:
        """The first of `newest_first`, without a look at the others."""
        change = self._awaited(self._open, now) if self._open else None
        if change is None and self._packed:
            change = unpack(self._packed[-1])
        if change is None or self._confirmation is None:
            return change
        return _confirmed(self._confirmation, change)

    def rest(self) -> None:
        """The service sleeps: nothing is confirmed any more, so that nothing large stays."""
        self._confirmation = None

    def thin(self, keep: int) -> None:
        """Forget all but the newest few."""
        gone = self._packed[:-keep]
        self._packed = self._packed[-keep:]
        self.size -= sum(map(_size, gone))

    def _awaited(self, record: Record, now: float | None) -> Record:
        if now is None or record.result is None:
            return record
        return replace(record, result=replace(record.result, seconds=now - self._since))

    def _close(self, stage: Stage, now: float) -> None:
        if self._open is not None and self._open.result is not None:
            result = replace(self._open.result, stage=stage, seconds=now - self._since)
            self._keep(replace(self._open, result=result))
        self._open = None

    def _keep(self, record: Record) -> None:
        packed = pack(record)
        self._packed.append(packed)
        self.size += _size(packed)
        if len(self._packed) > KEEP:
            self.size -= _size(self._packed.pop(0))


def _confirmed(decision: Decision, change: Record) -> Record:
    return replace(Record.of(decision, change.result), since=change.at)


def _size(packed: bytes) -> int:
    return len(packed) + _EACH
