"""`python -m loadtests.learned --traces FOLDER`: cold starts and idle time of each rule.

Learned sleep was developed on azure2019-500fn-8h: its form on the half whose applications have an
even hash, its last numbers on the whole. azure2019-100apps-24h was not looked at until then.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from loadtests.learned import rules
from loadtests.learned.measure import Outcome
from loadtests.learned.traces import Trace, applications, functions

_SHIPPED = Path(__file__).with_name("azure2019-100apps-24h.txt")
_FIXED = (1, 5, 10, 20, 60, 240)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--traces", type=Path, help="folder with azure2019-500fn-8h/")
    options.add_argument("--only", default="", help="traces with this in their name")
    options.add_argument("--wake", type=float, default=600.0, help="idle minutes that a wake costs")
    options.add_argument("--timeout", type=int, default=10, help="minutes of the plain timeout")
    asked = options.parse_args()
    for trace in _traces(asked.traces):
        if asked.only in trace.name:
            _tell(trace, asked.wake, asked.timeout)


def _traces(folder: Path | None) -> Iterator[Trace]:
    if folder is not None:
        file = folder / "azure2019-500fn-8h" / "invocations.csv"
        yield functions(file, "azure2019-500fn-8h")
        yield functions(file, "azure2019-500fn-8h: even half", 0)
        yield functions(file, "azure2019-500fn-8h: odd half", 1)
    if _SHIPPED.exists():
        yield applications(_SHIPPED, "azure2019-100apps-24h")


def _tell(trace: Trace, wake: float, timeout: int) -> None:
    print(f"\n{trace.name}: {len(trace.calls)} services, {trace.active} minutes with calls")
    print("| rule | cold | p50 | p75 | idle | wakes before a call |\n|---|---|---|---|---|---|")
    usual = rules.timeout(trace, 10).idle
    for minutes in _FIXED:
        _row(f"{minutes} minutes", rules.timeout(trace, minutes), usual)
    _row("hybrid histogram", rules.histogram(trace), usual)
    _row("learned", rules.learned(trace, wake, timeout), usual)
    _row("floor", rules.floor(trace), usual)


def _row(name: str, outcome: Outcome, usual: int) -> None:
    print(
        f"| {name} | .{outcome.rate * 1e4:04.0f} | {outcome.share(0.5):.3f} "
        f"| {outcome.share(0.75):.3f} | {outcome.idle / usual:.3f} | {outcome.wakes} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
