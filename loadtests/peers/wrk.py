"""wrk: a closed loop on keep-alive connections, told what to send by a few lines of Lua."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtests.peers.machine import LOAD_CORE, on_core

REPORT = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nREPORT {"requests": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f, "failed": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a load: requests answered, microseconds until they were, requests failed."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int


def load(url: str, script: str, connections: int, seconds: float, folder: Path) -> Loaded:
    """Send as fast as the answers come. Raises ChildProcessError when wrk fails."""
    lua = folder / "load.lua"
    lua.write_text(script + REPORT)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s"]
    command += ["--timeout", "30s", "-s", str(lua), url]
    done = subprocess.run(on_core(LOAD_CORE, command), capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("REPORT "):
            return Loaded(**json.loads(line.removeprefix("REPORT ")))
    raise ChildProcessError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
