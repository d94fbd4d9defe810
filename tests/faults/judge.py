"""Whether what happened to the requests is within what a fault may cost.

Pure. Some things never may: an answer that is another's, silence, one side effect twice, a refusal
of what a replica has had. The rest depends on the fault, see `Bar`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from tests.faults.ledger import Ledger
from tests.faults.record import Outcome, Record

# The gateway says so only of a request that it had sent.
SENT = frozenset({"replica-reset", "replica-timeout"})


@dataclass(frozen=True, slots=True)
class Bar:
    """What a fault may cost. `excuses` says of one failed request why it is excused, "" if not."""

    words: str
    excuses: Callable[[Record, Ledger], str]


@dataclass(frozen=True, slots=True)
class Verdict:
    requests: int
    outcomes: Counter[str]
    failed: Counter[str]  # by method, those with any outcome but ok
    excused: Counter[str]  # by excuse
    offences: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.offences


def judge(sent: int, records: Iterable[Record], ledger: Ledger, bar: Bar) -> Verdict:
    records = list(records)
    failed = [record for record in records if record.outcome is not Outcome.OK]
    excuses = [(record, bar.excuses(record, ledger)) for record in failed]
    offences = [f"no excuse ({bar.words}): {record}" for record, why in excuses if not why]
    offences += [one for record in records for one in _never(record, ledger)]
    if len(records) != sent:
        offences.append(f"{sent} were sent and {len(records)} have an outcome")
    return Verdict(
        requests=len(records),
        outcomes=Counter(str(record.outcome) for record in records),
        failed=Counter(record.asked.method for record in failed),
        excused=Counter(why for _, why in excuses if why),
        offences=offences,
    )


def _never(record: Record, ledger: Ledger) -> Iterable[str]:
    asked = record.asked
    if record.outcome in (Outcome.WRONG, Outcome.SILENT):
        yield f"never: {record}"
    if asked.method == "POST" and ledger.effects(asked.probe) > 1:
        yield f"its side effect happened {ledger.effects(asked.probe)} times: {record}"
    if record.outcome is Outcome.REFUSED and ledger.effects(asked.probe):
        yield f"refused, but its side effect happened: {record}"
    if record.outcome is Outcome.OK and not ledger.of(asked.probe):
        yield f"answered, but no replica has had it: {record}"


# Bars


def _nothing(record: Record, ledger: Ledger) -> str:
    return ""


def _had(record: Record, ledger: Ledger) -> bool:
    return bool(ledger.of(record.asked.probe))


def _only_unsafe(record: Record, ledger: Ledger) -> str:
    if record.began:
        return "its answer had begun"
    had_it = record.code in SENT or _had(record, ledger)
    if record.asked.size and had_it:
        return "its body had been sent"
    return ""


def _refusals(record: Record, ledger: Ledger) -> str:
    return "refused" if record.outcome is Outcome.REFUSED else ""


def _any_visible(record: Record, ledger: Ledger) -> str:
    return str(record.outcome)


def _never_reached(record: Record, ledger: Ledger) -> str:
    lost = record.outcome is Outcome.LOST and not record.asked.fresh
    return "its connection was idle, and closed" if lost and not _had(record, ledger) else ""


NOTHING = Bar("no failed request", _nothing)
ONLY_UNSAFE = Bar("only what had begun to be answered, or had a body", _only_unsafe)
ONLY_REFUSALS = Bar("503 with a reason", _refusals)
CLOSED_WHILE_IDLE = Bar("sent as its idle connection was closed", _never_reached)
ANY_VISIBLE = Bar("any visible error", _any_visible)


def either(*bars: Bar) -> Bar:
    def excuses(record: Record, ledger: Ledger) -> str:
        return next((why for bar in bars if (why := bar.excuses(record, ledger))), "")

    return Bar(" or ".join(bar.words for bar in bars), excuses)


def silent(replica: str, until: float) -> Bar:
    """As ONLY_UNSAFE, and one 504 for each request that this replica has had before it was
    ejected at `until`."""

    def excuses(record: Record, ledger: Ledger) -> str:
        had_it = any(visit.replica == replica for visit in ledger.of(record.asked.probe))
        if record.status == 504 and had_it and record.sent_at <= until:
            return "sent to the silent replica"
        return _only_unsafe(record, ledger)

    return Bar("one 504 for each request sent to a silent replica", excuses)


def in_flight(ports: Collection[int]) -> Bar:
    """Only what was under way on the connections of a process that was killed."""

    def excuses(record: Record, ledger: Ledger) -> str:
        if record.port in ports and record.outcome in (Outcome.CUT, Outcome.LOST):
            return "was in flight in the killed process"
        return ""

    return Bar("only what was in flight in the killed process", excuses)
