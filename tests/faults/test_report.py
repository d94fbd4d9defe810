"""The judgement of requests and the table, on made-up facts: the parts that must not lie."""

import pytest

from tests.faults.judge import NOTHING, ONLY_UNSAFE, judge, silent
from tests.faults.ledger import Ledger, Visit
from tests.faults.record import Asked, Outcome, Record
from tests.faults.report import BEGIN, CATALOGUE, END, table, verdict, written
from tests.faults.results import Facts


def record(outcome: Outcome, method: str = "GET", **facts: object) -> Record:
    asked = Asked("p-1", method, "/", "web", size=10 if method == "POST" else 0)
    made = Record(asked, 1.0, 2.0, outcome)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def ledger(*visits: Visit) -> Ledger:
    return Ledger({"p-1": list(visits)})


HAD = Visit("web-1", 1.1)
DONE = Visit("web-1", 1.1, 1.2, 1.3)


@pytest.mark.parametrize(
    ("one", "book", "holds"),
    [
        (record(Outcome.OK), ledger(DONE), True),
        (record(Outcome.OK), Ledger(), False),  # answered by nobody
        (record(Outcome.LOST), ledger(HAD), False),
        (record(Outcome.CUT), ledger(DONE), True),
        (record(Outcome.ERROR, status=502, code="replica-reset"), ledger(HAD), False),
        (record(Outcome.ERROR, "DELETE", status=502, code="replica-reset"), ledger(HAD), False),
        (record(Outcome.ERROR, "POST", status=502, code="replica-reset"), Ledger(), True),
        (record(Outcome.ERROR, "POST", status=502, code="replica-unreachable"), Ledger(), False),
        (record(Outcome.ERROR, "POST", status=502, code="replica-reset"), ledger(DONE), True),
        (record(Outcome.OK, "POST"), ledger(DONE, DONE), False),  # twice
        (record(Outcome.ERROR, status=500), ledger(DONE), True),  # the replica's own answer
        (record(Outcome.REFUSED, status=503, code="queue-full"), Ledger(), False),
        (record(Outcome.WRONG, status=200), ledger(DONE), False),
        (record(Outcome.SILENT), ledger(HAD), False),
    ],
)
def test_what_may_fail_where_a_replica_dies(one: Record, book: Ledger, holds: bool) -> None:
    assert judge(1, [one], book, ONLY_UNSAFE).holds is holds


def test_nothing_is_nothing_and_everything_has_an_outcome() -> None:
    assert not judge(1, [record(Outcome.CUT)], ledger(DONE), NOTHING).holds
    assert not judge(2, [record(Outcome.OK)], ledger(DONE), NOTHING).holds
    assert judge(1, [record(Outcome.OK)], ledger(DONE), NOTHING).holds


@pytest.mark.parametrize(
    ("replica", "until", "holds"), [("web-1", 1.5, True), ("web-1", 0.5, False), ("b", 1.5, False)]
)
def test_one_504_for_each_request_sent_to_a_silent_replica_until_it_is_ejected(
    replica: str, until: float, holds: bool
) -> None:
    one = record(Outcome.ERROR, status=504, code="replica-timeout")
    assert judge(1, [one], ledger(HAD), silent(replica, until)).holds is holds


def facts(**changes: object) -> Facts:
    told: dict[str, object] = {
        "fault": "kill-9-each-second", "runtime": "docker", "at": "2026-01-02T03:04:05",
        "long": True, "requests": 7000, "outcomes": {"ok": 6999, "error": 1}, "failed": {"POST": 1},
        "excused": {"its body had been sent": 1}, "offences": [], "troubles": [],
        "detected": [80.0, 90.0, 150.0], "replaced": [300.0], "own_start": 210.0, **changes,
    }  # fmt: skip
    return Facts(**told)  # type: ignore[arg-type]


KILLS = next(fault for fault in CATALOGUE if fault.key == "kill-9-each-second")


def test_the_verdict_tells_what_is_worse_than_the_bar() -> None:
    assert verdict(KILLS, facts()) == "holds"
    assert verdict(KILLS, facts(detected=[130.0])) == "holds, but seen 30 ms too late"
    assert verdict(KILLS, facts(replaced=[350.0])) == "holds, but replaced 40 ms too late"
    assert verdict(KILLS, facts(offences=["one"])) == "**1 lost** that should not be"
    assert "left behind" in verdict(KILLS, facts(troubles=["left: web-1"]))


def test_only_what_stands_between_the_marks_is_written() -> None:
    text = written(f"before\n{BEGIN}\nFORMER\n{END}\nafter\n", [facts()])
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "FORMER" not in text
    assert "| docker | 7,000 | 1 POST (its body had been sent: 1) | 90 ms, at most 150 |" in text
    with pytest.raises(ValueError, match="no marks"):
        written("nothing", [facts()])


def test_a_row_says_what_was_measured_and_no_more() -> None:
    """A short run is not the long one, and a record that tells no number is given none."""
    of_herd = {"fault": "herd-on-zero", "detected": [], "replaced": []}
    short = facts(**of_herd, runtime="process", long=False, amount="2,000")
    text = table([short, facts(**of_herd)])
    assert "| 2,000 requests on zero, beside it (short run) | process |" in text
    assert "| many requests on zero, beside it | docker |" in text
    assert "10,000" not in text
    between = written(f"{BEGIN}{END}", [short, facts()])
    assert "Measured on 2026-01-02, long mode but for the short runs, " in between
