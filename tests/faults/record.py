"""What came of one request, as its client saw it.

Pure. Every request ends as exactly one of these; there is none without an outcome.
"""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    OK = "ok"  # 200 with the right echo
    REFUSED = "refused"  # 503 with a problem of the gateway's own
    ERROR = "error"  # any other status
    CUT = "cut"  # the connection ended after the answer had begun
    LOST = "lost"  # the connection ended, or never came about, without a byte of an answer
    SILENT = "silent"  # nothing, for longer than a client has patience
    WRONG = "wrong"  # an answer that is not the one to this request


@dataclass(slots=True)
class Asked:
    """A request to be sent. `size` is of its body, `fresh`: on a connection of its own."""

    probe: str
    method: str
    path: str
    host: str
    size: int = 0
    fresh: bool = False


@dataclass(slots=True)
class Record:
    """Times are of the event loop, which is the machine's monotonic clock."""

    asked: Asked
    sent_at: float
    ended_at: float
    outcome: Outcome
    status: int = 0
    code: str = ""
    replica: str = ""
    detail: str = ""
    port: int = 0  # the client's own

    @property
    def began(self) -> bool:
        """Whether an answer of a replica had begun."""
        return self.outcome is Outcome.CUT or (self.outcome is Outcome.ERROR and not self.code)

    def __str__(self) -> str:
        asked = self.asked
        took = self.ended_at - self.sent_at
        said = f"{self.status} {self.code} {self.detail}".strip()
        return (
            f"{asked.probe} {asked.method} {asked.path} {self.outcome} after {took:.3f} s: {said}"
        )
