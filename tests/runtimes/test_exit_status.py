"""How somebody else's process has ended: told while it is not collected, and afterwards."""

import os
import platform
import select
import signal
import subprocess

import pytest

from runtimes import exit_status
from runtimes.exit_status import exit_code_of

KERNEL = tuple(int(number) for number in platform.release().split(".")[:2])
told_afterwards = pytest.mark.skipif(KERNEL < (6, 15), reason="PIDFD_INFO_EXIT is of Linux 6.15")


def ended(script: str) -> tuple[subprocess.Popen[bytes], int]:
    """A process that nobody has collected, and its pidfd."""
    process = subprocess.Popen(["/bin/sh", "-c", script])
    descriptor = os.pidfd_open(process.pid)
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    assert ready.poll(10_000)
    return process, descriptor


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 3", 3), ("exit 255", 255), ("kill -9 $$", -signal.SIGKILL), ("exit 0", None)],
)
def test_before_and_after_it_was_collected(script: str, code: int | None) -> None:
    process, descriptor = ended(script)
    try:
        assert exit_code_of(process.pid, descriptor) == code
        process.wait()
        assert exit_code_of(process.pid, descriptor) == (code if KERNEL >= (6, 15) else None)
    finally:
        process.wait()
        os.close(descriptor)


@told_afterwards
def test_a_number_that_passed_to_another_process_says_nothing() -> None:
    process, descriptor = ended("exit 3")
    process.wait()
    try:
        assert exit_code_of(os.getpid(), descriptor) == 3
    finally:
        os.close(descriptor)


def test_an_older_kernel_that_was_too_late_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    process, descriptor = ended("exit 3")
    process.wait()
    monkeypatch.setattr(exit_status, "_GET_INFO", 0xC040FFFF)  # as good as unknown
    try:
        assert exit_code_of(process.pid, descriptor) is None
    finally:
        os.close(descriptor)
