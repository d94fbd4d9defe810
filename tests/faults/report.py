"""The table of docs/reliability.md from the results: `python -m tests.faults.report`.

Only what stands between the marks is written; the words around it are by hand. A scenario without
a result keeps no line: what was not measured is not claimed.
"""

import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.results import Facts, load_all

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: python -m tests.faults.report -->", "<!-- end -->"
SLACK = 100.0  # milliseconds on top of the replica's own start
CRASH_SEEN = 100.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`bar` is what its requests may cost; `seen` the milliseconds until it must be known, 0: none;
    `replaced`: whether a replacement has its time. `unknown` stands for the amount, in braces in
    `words`, of a record that does not tell it: long and short runs differ in that."""

    key: str
    words: str
    bar: str
    seen: float = 0.0
    replaced: bool = False
    unknown: str = ""


NONE = "no failed request"
UNSAFE = "no failed GET but in the middle of its answer; others as well, or with a body sent"
HUNG = 250.0 * 3 + 250.0 + 50.0

CATALOGUE = (
    Fault("scale", "scaled 1 → 5 → 1 → 0 → 3", NONE),
    Fault("rolling-restart", "rolling restart of three", NONE),
    Fault("kill-9-each-second", "kill -9 of one of three, each second", UNSAFE, CRASH_SEEN, True),
    Fault("hang", "SIGSTOP, or pause, of one of three", UNSAFE, HUNG, False),
    Fault("answers-error", "one of three answers 500", UNSAFE),
    Fault(
        "answers-silent",
        "one of three never answers",
        "the same, and one 504 for each request it had before it was ejected",
    ),
    Fault("answers-reset", "one of three resets after the request", UNSAFE),
    Fault("answers-cut", "one of three resets after its answer's head", UNSAFE),
    Fault("out-of-memory", "one of three is out of memory", UNSAFE, 0.0, True),
    Fault("cannot-run", "beside it: crash at start, crash later, port never opens", NONE),
    Fault("engine-restarted", "dockerd restarted", NONE),
    Fault("engine-stopped", "dockerd stopped for {}", NONE, unknown="a while"),
    Fault("engine-slow", "each call to dockerd takes {}, and a kill -9", UNSAFE, unknown="seconds"),
    Fault("kill-9-control", "kill -9 of the control process, and a new one", NONE),
    Fault("kill-9-gateway", "kill -9 of a gateway process", "only what was in flight in it"),
    Fault("reload", "100 reloads, every tenth wrong", NONE),
    Fault("herd-on-zero", "{} requests on zero, beside it", NONE, unknown="many"),
    Fault("memory-short", "large heads and slow readers at a memory limit", "503 with the reason"),
    Fault("no-descriptors", "400 idle clients with 128 descriptors", "503 with the reason"),
    Fault("disk-full", "the disk for state and logs is full", NONE),
    Fault("same-owner", "a second Tidegate with the same owner", NONE),
    Fault("two-owners", "a second one with another owner, killed and ended", NONE),
    Fault("long-answers", "downloads and WebSockets, scaled 3 → 1", NONE),
    Fault("clock-jumps", "the clock jumps by hours and by a month", NONE),
)
HEADER = (
    "fault",
    "on",
    "requests",
    "not answered",
    "seen after",
    "replaced after",
    "own start",
    "verdict",
)


def verdict(fault: Fault, facts: Facts) -> str:
    """Against the bar; what was lost comes first."""
    if facts.offences:
        return f"**{len(facts.offences)} lost** that should not be"
    if facts.troubles:
        return f"**left behind**: {'; '.join(facts.troubles)}"
    late = []
    if fault.seen and facts.detected and (took := statistics.median(facts.detected)) > fault.seen:
        late.append(f"seen {took - fault.seen:.0f} ms too late")
    if fault.replaced and facts.replaced:
        over = statistics.median(facts.replaced) - facts.own_start - SLACK
        late += [f"replaced {over:.0f} ms too late"] if over > 0 else []
    return f"holds, but {', '.join(late)}" if late else "holds"


def row(fault: Fault, facts: Facts) -> Sequence[str]:
    words = fault.words.format(facts.amount or fault.unknown)
    return (
        words if facts.long else f"{words} (short run)",
        facts.runtime,
        f"{facts.requests:,}",
        unanswered(facts),
        spread(facts.detected),
        spread(facts.replaced),
        f"{facts.own_start:.0f} ms" if facts.replaced else "",
        verdict(fault, facts),
    )


def unanswered(facts: Facts) -> str:
    if not facts.failed:
        return "0"
    methods = ", ".join(f"{count} {method}" for method, count in sorted(facts.failed.items()))
    why = ", ".join(f"{words}: {count}" for words, count in sorted(facts.excused.items()))
    return f"{methods} ({why})"


def spread(values: Sequence[float]) -> str:
    """Median, and the largest of several."""
    if not values:
        return ""
    middle = f"{statistics.median(values):,.0f} ms"
    return middle if len(values) == 1 else f"{middle}, at most {max(values):,.0f}"


def table(found: Iterable[Facts]) -> str:
    known = {(facts.fault, facts.runtime): facts for facts in found}
    rows = [
        row(fault, facts)
        for fault in CATALOGUE
        for runtime in ("process", "docker")
        if (facts := known.get((fault.key, runtime)))
    ]
    lines = [HEADER, tuple("---" for _ in HEADER), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bars() -> str:
    return "\n".join(f"- {fault.words.format(fault.unknown)}: {fault.bar}" for fault in CATALOGUE)


def notes(found: Iterable[Facts]) -> str:
    lines = [
        f"- {facts.fault}, {facts.runtime}: {'; '.join(facts.notes)}."
        for facts in found
        if facts.notes
    ]
    return "\n".join(lines)


def written(text: str, found: Sequence[Facts]) -> str:
    """The document with what is between its marks made anew. Raises ValueError without marks."""
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{DOCUMENT} has no marks to write between")
    dates = sorted(facts.at[:10] for facts in found)
    total = sum(facts.requests for facts in found)
    days = dates[-1] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    mode = "long mode" + ("" if all(facts.long for facts in found) else " but for the short runs")
    said = f"Measured on {days}, {mode}, {total:,} requests in all."
    made = [said, table(found), "What was noted beside:", notes(found)]
    return f"{before}{BEGIN}\n\n" + "\n\n".join(made) + f"\n\n{END}{after}"


def main() -> int:
    found = load_all()
    if not found:
        print("there are no results: run `make faults` first", file=sys.stderr)
        return 1
    DOCUMENT.write_text(written(DOCUMENT.read_text(), found))
    unknown = {facts.fault for facts in found} - {fault.key for fault in CATALOGUE}
    print(f"{DOCUMENT}: {len(found)} results" + (f"; unknown: {unknown}" if unknown else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
