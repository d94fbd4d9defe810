"""The loads: what is asked for, on how many connections."""

import json
from dataclasses import dataclass

from loadtests.peers.browser import HEADERS

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

_LINES = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
_TEXT = json.dumps(_LINES)

# A page's many parts: other targets, the same fields.
BROWSER = f"""
local count = 0
local rest = " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n" .. {_TEXT} .. "\\r\\n"
function request()
  count = count + 1
  return "GET /?n=" .. count .. rest
end
"""

# A proxy in front that marks each request makes the fields differ as well.
MARKED = f"""
local count = 0
local rest = " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n" .. {_TEXT} .. "X-Request-Id: "
function request()
  count = count + 1
  return "GET /?n=" .. count .. rest .. count .. "\\r\\n\\r\\n"
end
"""

POST = """
wrk.method = "POST"
wrk.body = string.rep("x", %d)
"""

CHUNKED = """
local chunk = "10000\\r\\n" .. string.rep("x", 65536) .. "\\r\\n"
local head = "POST /chunked HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n"
  .. "Transfer-Encoding: chunked\\r\\n\\r\\n"
local whole = head .. string.rep(chunk, 160) .. "0\\r\\n\\r\\n"
function request() return whole end
"""

CLOSE = """
wrk.headers["Connection"] = "close"
"""

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """One load; `idle` connections stand beside it, or a `crowd`; `half` is paced and not as fast
    as can be."""

    name: str
    about: str
    path: str = "/"
    script: str = PLAIN
    connections: int = CONNECTIONS
    idle: int = 0
    tls: bool = False
    half: bool = False
    crowd: str = ""


CASES = {
    case.name: case
    for case in (
        Case("small", "34 bytes, one head over and over"),
        Case("varied", "34 bytes, no two heads alike", script=VARIED),
        Case("browser", "34 bytes for a browser's 30 fields, each target new", script=BROWSER),
        Case("marked", "the same, and a field that is new each time", script=MARKED),
        Case("post-1k", "1 KiB up", "/upload", POST % KIB),
        Case("answer-10m", "10 MiB down", "/files/10m", connections=BULKY),
        Case("upload-10m", "10 MiB up", "/upload", POST % (10 * MIB), BULKY),
        Case("chunked-10m", "10 MiB up and down in chunks", "/chunked", CHUNKED, BULKY),
        Case("connect", "a new connection for each 34 bytes", script=CLOSE),
        Case("idle-1k", "34 bytes beside 1,000 idle connections", script=VARIED, idle=1000),
        Case("tls", "34 bytes over TLS on kept connections", script=VARIED, tls=True),
        Case("half", "34 bytes at half the rate the slowest can, in an open loop", half=True),
        Case("endless", "the same beside 1,000 heads without end", half=True, crowd="heads"),
        Case("chunks", "the same beside 50 uploads in chunks of a byte", half=True, crowd="chunks"),
    )
}
