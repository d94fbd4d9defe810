"""What operators read: what was seen and what to do."""

import logging

import pytest

from cluster.events import Events
from cluster.lifecycle import Event
from health.telling import tell
from health.verdict import Verdict
from tests.support.probed_world import a_replica


@pytest.mark.parametrize(
    ("event", "static", "kind", "level", "text"),
    [
        pytest.param(
            Event.PASSED, False, "replica-ready", logging.INFO, "web-1: seen", id="good news"
        ),
        pytest.param(
            Event.CONDEMNED,
            False,
            "replica-condemned",
            logging.WARNING,
            "web-1: seen; it is being replaced, `tidegate logs web` may say why it failed",
            id="condemned",
        ),
        pytest.param(
            Event.UNREADY,
            False,
            "replica-unready",
            logging.WARNING,
            "web-1: seen; it gets no requests until that passes again, see `tidegate logs web`",
            id="unready",
        ),
        pytest.param(
            Event.UNREADY,
            True,
            "replica-unready",
            logging.WARNING,
            "web-1: seen; it gets no requests until that passes again, "
            "look at what runs at 127.0.0.1:8080",
            id="unready, run by others",
        ),
        pytest.param(
            None,
            True,
            "endpoint-silent",
            logging.WARNING,
            "web-1: seen; it is tried on, look at what runs at 127.0.0.1:8080",
            id="silent",
        ),
    ],
)
def test_each_verdict_is_told(
    event: Event | None,
    static: bool,
    kind: str,
    level: int,
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = Events(lambda: 0.0)
    with caplog.at_level(logging.INFO, "tidegate"):
        tell(events, a_replica(static=static), Verdict(event, "seen"))
    happening = events.since()[0]
    assert (happening.kind, happening.service, happening.replica) == (kind, "web", "web-1")
    assert happening.message == text
    assert [record.levelno for record in caplog.records] == [level]
