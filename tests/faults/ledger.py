"""What the replicas wrote down: which request reached whom, when, and what it did there."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Visit:
    """One request in one replica. Times are the machine's monotonic clock, None: it never came
    to that."""

    replica: str
    got: float
    did: float | None = None
    answered: float | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The visits of each request, in no order."""

    visits: dict[str, list[Visit]] = field(default_factory=dict)

    def of(self, probe: str) -> list[Visit]:
        return self.visits.get(probe, [])

    def effects(self, probe: str) -> int:
        """How often its side effect has happened."""
        return sum(visit.did is not None for visit in self.of(probe))

    def reached(self, replica: str) -> set[str]:
        """The requests that one replica has had."""
        return {
            probe
            for probe, visits in self.visits.items()
            if any(visit.replica == replica for visit in visits)
        }


def read(folder: Path) -> Ledger:
    """All ledgers of a folder together; one file for each replica."""
    found: dict[str, list[Visit]] = defaultdict(list)
    for file in folder.glob("*.txt"):
        for line in file.read_text().splitlines():
            _take(line, file.stem, found)
    return Ledger(dict(found))


def _take(line: str, replica: str, found: dict[str, list[Visit]]) -> None:
    fact, probe, _, _, at = line.split()
    if fact == "got":
        found[probe].append(Visit(replica, float(at)))
        return
    # The same replica may have it twice, one after the other: the later visit is meant.
    visit = next(visit for visit in reversed(found[probe]) if visit.replica == replica)
    if fact == "did":
        visit.did = float(at)
    else:
        visit.answered = float(at)
