"""Operators hear of it once, however many gateway processes are short of memory."""

from cluster.events import Events
from tidegate.shedding import Shedding


def test_the_first_process_begins_it_and_the_last_one_ends_it() -> None:
    events = Events(lambda: 0.0)
    shedding = Shedding(events)
    for sheds, name in [
        (False, "gateway-0"),
        (True, "gateway-0"),
        (True, "gateway-1"),
        (False, "gateway-0"),
        (False, "gateway-0"),
        (False, "gateway-1"),
        (True, "gateway-1"),
    ]:
        shedding.tell(sheds, "420MiB of 512MiB are used", name)
    told = [one.kind for one in events.since()]
    assert told == ["memory-pressure", "memory-pressure-over", "memory-pressure"]
    assert events.since()[0].message == (
        "memory is short, so clients are refused: 420MiB of 512MiB are used"
    )
