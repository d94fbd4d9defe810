"""The loads: what is asked for, on how many connections."""

from dataclasses import dataclass

CONNECTIONS = 64
BULKY = 8

PLAIN = ""

# No two heads are the same, so that nothing may be gained from having seen one before.
VARIED = """
local count = 0
local head = "GET /?n="
local rest = " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nX-Request-Id: "
function request()
  count = count + 1
  return head .. count .. rest .. count .. "\\r\\n\\r\\n"
end
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One load; `idle` connections stand beside it without a request."""

    name: str
    about: str
    path: str = "/"
    script: str = PLAIN
    connections: int = CONNECTIONS
    idle: int = 0
    tls: bool = False


CASES = {
    case.name: case
    for case in (
        Case("small", "34 bytes on kept connections, one head over and over"),
        Case("varied", "34 bytes on kept connections, no two heads alike", script=VARIED),
    )
}
