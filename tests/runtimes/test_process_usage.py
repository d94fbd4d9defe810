"""What /proc says of a session of processes: nothing counted twice, nothing lost on the way."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from cluster.model import Usage
from runtimes.process_usage import usage_of

MIB = 1024**2
DEADLINE = 20.0
# Holds 64 MiB, forks two children that share them, and says so.
SHARING = """
import os, time
block = bytearray(os.urandom(1)) * (64 * 1024 ** 2)
for _ in range(2):
    if os.fork() == 0:
        break
print("there", flush=True)
time.sleep(60)
"""
# A child in a group of its own burns CPU time, ends, and is waited for.
SPAWNING = """
import os, time
def burn(seconds):
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        os._exit(0)
    return child
os.waitpid(burn(0.3), 0)
print("burned", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def session(source: str, lines: int) -> Iterator[int]:
    """The leader of a session of its own that said so many lines."""
    command = [sys.executable, "-I", "-S", "-c", source]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as leader:
        try:
            assert leader.stdout
            for _ in range(lines):
                assert leader.stdout.readline()
            yield leader.pid
        finally:
            os.killpg(leader.pid, signal.SIGKILL)


def usage(leader: int) -> Usage:
    return usage_of([leader])[leader]


def test_pages_that_processes_share_count_once() -> None:
    """proc(5): Pss in smaps_rollup. Three processes that hold the same 64 MiB hold 64 MiB."""
    with session(SHARING, 3) as leader:
        assert 64 * MIB < usage(leader).memory < 100 * MIB


def test_the_time_of_children_that_ended_stays_with_those_who_waited() -> None:
    with session(SPAWNING, 1) as leader:
        assert 0.25 < usage(leader).cpu_seconds < 1.0


def test_a_child_in_a_group_of_its_own_is_counted_while_it_lives() -> None:
    with session(SPAWNING.replace("0.3", "60"), 0) as leader:
        deadline = time.time() + DEADLINE
        while usage(leader).cpu_seconds < 0.2:
            assert time.time() < deadline
            time.sleep(0.02)
        children = f"/proc/{leader}/task/{leader}/children"
        with open(children) as file:
            os.kill(int(file.read()), signal.SIGKILL)


def test_who_is_not_there_is_left_out() -> None:
    assert usage_of([]) == {}
    assert usage_of([2**22 + 1]) == {}
