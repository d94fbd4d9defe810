"""What was decided for one service: the decisions that changed something, and the latest one.

Pure. A tick that only confirms what is replaces the confirmation before it, so that the history
reaches back over changes and not over seconds.
"""

from collections import deque

from autoscaler.decision import Decision

KEEP = 100


class History:
    """At most `KEEP` changes."""

    __slots__ = ("_changes", "_confirmation")

    def __init__(self) -> None:
        self._changes: deque[Decision] = deque(maxlen=KEEP)
        self._confirmation: Decision | None = None

    def add(self, decision: Decision) -> None:
        if self._changes and _outcome(decision) == _outcome(self._changes[-1]):
            self._confirmation = decision
        else:
            self._changes.append(decision)
            self._confirmation = None

    def newest_first(self) -> list[Decision]:
        latest = [self._confirmation] if self._confirmation else []
        return [*latest, *reversed(self._changes)]

    def latest(self) -> Decision | None:
        return self._confirmation or (self._changes[-1] if self._changes else None)


def _outcome(decision: Decision) -> tuple[object, ...]:
    return decision.replicas, decision.frozen, decision.mode
