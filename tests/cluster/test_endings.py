"""Ends are told in words."""

import pytest

from cluster.endings import cause_of, size

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("code", "oom", "memory", "words"),
    [
        (None, False, None, "ended"),
        (0, False, None, "exited with code 0"),
        (3, False, 64 * MIB, "exited with code 3"),
        (126, False, None, "exited with code 126 (the command cannot be executed)"),
        (127, False, None, "exited with code 127 (command not found)"),
        (139, False, None, "exited with code 139 (what it ran was killed by SIGSEGV)"),
        (255, False, None, "exited with code 255"),
        (-11, False, None, "killed by SIGSEGV"),
        (-9, False, None, "killed by SIGKILL"),
        (-63, False, None, "killed by signal 63"),
        (-9, True, 64 * MIB, "killed: out of memory (its limit is 64MiB)"),
        (-9, True, None, "killed: out of memory"),
    ],
)
def test_a_code_says_what_it_means(
    code: int | None, oom: bool, memory: int | None, words: str
) -> None:
    assert cause_of(code, oom=oom, memory=memory) == words


@pytest.mark.parametrize(
    ("count", "words"), [(64 * MIB, "64MiB"), (1536 * MIB, "1.5GiB"), (MIB // 2, "0.5MiB")]
)
def test_a_size_is_told_as_the_file_says_it(count: int, words: str) -> None:
    assert size(count) == words
