"""Programs on a core of their own, which end with us however we end (Linux)."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from loadtests.system import NotReached, answers, wait_until

PROXY_CORE = 0
LOAD_CORE = 1
OPEN_FILES = 65_536
STOPPED_WITHIN = 20.0


def on_core(core: int, command: Sequence[str]) -> list[str]:
    """The same command on one core; it ends when the process ends that started it."""
    return ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", str(core), *command]


@contextlib.contextmanager
def pinned(
    command: Sequence[str], core: int, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run this on one core, its output in `log`; stopped at the end, and when we are killed."""
    # A session of its own: an interrupt at the terminal reaches us alone, and we stop the rest.
    bound = on_core(core, command)
    with log.open("wb") as output:
        process = subprocess.Popen(
            bound,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def until_up(process: subprocess.Popen[bytes], url: str, log: Path, within: float = 30.0) -> None:
    """Wait for an answer of 200. Raises NotReached with the log when the program ends instead."""

    def up() -> bool:
        if process.poll() is not None:
            raise NotReached(f"{log.stem} ended with {process.returncode}:\n{log.read_text()}")
        return answers(url)

    wait_until(up, f"{url} answers", within)


def many_open_files() -> None:
    """As many as the cases with thousands of connections need, for us and whom we start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        # Only root may; for others the cases that need more will say so.
        with contextlib.suppress(ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
            return
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, OPEN_FILES), hard))
