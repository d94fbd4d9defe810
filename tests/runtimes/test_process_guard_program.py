"""The guard program by itself: what it does with the words it is told and when its pipe ends."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.process_guard import PACKAGES, PROGRAM


@pytest.fixture
def ward() -> Iterator["subprocess.Popen[bytes]"]:
    """Leads a group of its own."""
    process = subprocess.Popen(["/bin/sleep", "300"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def _guard(folder: Path, words: str, grace: float = 20.0, patience: float = 0.0) -> None:
    """Runs one to its end, having said these words."""
    arguments = [str(PACKAGES), str(folder), "1000", str(grace), str(patience)]
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM, *arguments],
        input=words.encode(),
        check=True,
        timeout=30,
    )


def test_at_the_end_of_its_pipe_it_ends_what_is_in_its_care(
    tmp_path: Path, ward: "subprocess.Popen[bytes]"
) -> None:
    _guard(tmp_path, f"+{ward.pid}\n")
    assert ward.wait(5) == -signal.SIGTERM


def test_a_group_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    script = "trap '' TERM; echo up; while :; do sleep 300; done"
    with subprocess.Popen(
        ["/bin/sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE
    ) as ward:
        assert ward.stdout is not None
        assert ward.stdout.readline() == b"up\n"
        before = time.perf_counter()
        _guard(tmp_path, f"+{ward.pid}\n", grace=0.5)
        assert time.perf_counter() - before >= 0.5
        assert ward.wait(5) == -signal.SIGKILL


def test_what_was_dismissed_is_left_alone(tmp_path: Path, ward: "subprocess.Popen[bytes]") -> None:
    _guard(tmp_path, f"+{ward.pid}\n-{ward.pid}\n")
    assert ward.poll() is None


@pytest.mark.parametrize("words", ["+{0}\nkeep\n", "keep\n+{0}\n"])
def test_what_is_kept_is_left_alone_and_the_guard_ends_with_it(
    tmp_path: Path, ward: "subprocess.Popen[bytes]", words: str
) -> None:
    arguments = [str(PACKAGES), str(tmp_path), "1000", "1"]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM, *arguments], stdin=subprocess.PIPE
    ) as guard:
        assert guard.stdin is not None
        guard.stdin.write(words.format(ward.pid).encode())
        guard.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            guard.wait(0.5)
        assert ward.poll() is None
        ward.kill()
        assert guard.wait(20) == 0


def test_it_bounds_the_logs_of_what_is_kept(
    tmp_path: Path, ward: "subprocess.Popen[bytes]"
) -> None:
    arguments = [str(PACKAGES), str(tmp_path), "1000", "1"]
    (tmp_path / "logs").mkdir()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM, *arguments], stdin=subprocess.PIPE
    ) as guard:
        assert guard.stdin is not None
        guard.stdin.write(f"+{ward.pid}\nkeep\n".encode())
        guard.stdin.close()
        log = tmp_path / "logs/a.stdout"
        deadline = time.perf_counter() + 20
        while not (tmp_path / "logs/a.stdout.1").exists():
            assert time.perf_counter() < deadline
            with log.open("a") as file:
                file.write("x" * 200)
            time.sleep(0.01)
        ward.kill()
        guard.wait(20)
    assert log.stat().st_size <= 1000


def test_it_bounds_what_was_written_before_it_came_up(
    tmp_path: Path, ward: "subprocess.Popen[bytes]"
) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs/a.stdout"
    log.write_text("x" * 1500)
    _guard(tmp_path, f"+{ward.pid}\n")
    assert log.stat().st_size == 0
    assert (tmp_path / "logs/a.stdout.1").stat().st_size == 1500


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_all_of_us_does_not_end_the_guard_first(
    tmp_path: Path, ward: "subprocess.Popen[bytes]", number: signal.Signals
) -> None:
    arguments = [str(PACKAGES), str(tmp_path), "1000", "20"]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM, *arguments], stdin=subprocess.PIPE
    ) as guard:
        assert guard.stdin is not None
        _wait_until_ignored(guard.pid, number)
        os.kill(guard.pid, number)
        guard.stdin.write(f"+{ward.pid}\n".encode())
        guard.stdin.close()
        assert guard.wait(20) == 0
    assert ward.wait(5) == -signal.SIGTERM


def _wait_until_ignored(pid: int, number: signal.Signals) -> None:
    """proc(5): SigIgn is a mask in hexadecimal."""
    deadline = time.perf_counter() + 20
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        mask = int(status.split("SigIgn:")[1].split()[0], 16)
        if mask >> (number - 1) & 1:
            return
        assert time.perf_counter() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def _left_alone(
    state: Path, ward: "subprocess.Popen[bytes]"
) -> Iterator["subprocess.Popen[bytes]"]:
    """A guard whose Tidegate has just been killed."""
    arguments = [str(PACKAGES), str(state), "1000", "5", "30"]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM, *arguments], stdin=subprocess.PIPE
    ) as guard:
        assert guard.stdin is not None
        guard.stdin.write(f"+{ward.pid}\n".encode())
        guard.stdin.close()
        try:
            yield guard
        finally:
            guard.kill()


@contextlib.contextmanager
def _next_tidegate(state: Path) -> Iterator[None]:
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_what_the_next_tidegate_has_a_record_of_is_left_to_it(
    tmp_path: Path, ward: "subprocess.Popen[bytes]"
) -> None:
    (tmp_path / "replicas").mkdir()
    (tmp_path / "replicas/web-1.json").write_text(json.dumps({"pid": ward.pid}))
    with _left_alone(tmp_path, ward) as guard:
        with pytest.raises(subprocess.TimeoutExpired):
            guard.wait(1.5)
        assert ward.poll() is None
        with _next_tidegate(tmp_path):
            assert guard.wait(10) == 0
        assert ward.poll() is None


def test_what_was_only_half_begun_ends_when_the_next_tidegate_comes(
    tmp_path: Path, ward: "subprocess.Popen[bytes]"
) -> None:
    with _left_alone(tmp_path, ward) as guard, _next_tidegate(tmp_path):
        assert guard.wait(10) == 0
        assert ward.wait(5) == -signal.SIGKILL


def test_when_nobody_comes_in_time_it_ends_what_is_in_its_care(
    tmp_path: Path, ward: "subprocess.Popen[bytes]"
) -> None:
    before = time.perf_counter()
    _guard(tmp_path, f"+{ward.pid}\n", patience=1.0)
    assert ward.wait(5) == -signal.SIGTERM
    assert time.perf_counter() - before >= 1.0
