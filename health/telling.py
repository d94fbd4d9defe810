"""What operators read about health: what was seen, and what to do about it."""

import logging

from cluster.events import Events
from cluster.lifecycle import Event
from cluster.model import Replica
from health.duties import is_static
from health.verdict import Verdict


def tell(events: Events, replica: Replica, verdict: Verdict) -> None:
    """Kinds: replica-ready, replica-unready, replica-condemned, endpoint-silent."""
    kind, level, advice = _words(replica, verdict.event)
    events.emit(
        kind,
        f"{replica.id}: {verdict.reason}{advice}",
        service=replica.service,
        replica=replica.id,
        level=level,
    )


def _words(replica: Replica, event: Event | None) -> tuple[str, int, str]:
    if event is Event.PASSED:
        return "replica-ready", logging.INFO, ""
    if event is Event.CONDEMNED:
        advice = f"; it is being replaced, `tidegate logs {replica.service}` may say why it failed"
        return "replica-condemned", logging.WARNING, advice
    if event is Event.UNREADY:
        return "replica-unready", logging.WARNING, f"; it gets no requests until {_cure(replica)}"
    return (
        "endpoint-silent",
        logging.WARNING,
        f"; it is tried on, look at what runs at {replica.address}",
    )


def _cure(replica: Replica) -> str:
    if is_static(replica):
        return f"that passes again, look at what runs at {replica.address}"
    return f"that passes again, see `tidegate logs {replica.service}`"
