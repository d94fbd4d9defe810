"""How an instance ended, in words that an operator need not look up.

Pure. A code is what the engine tells: negative for a signal. A shell turns its command's signal
into 128 + its number, and has codes of its own for what it cannot run (POSIX XCU 2.8.2).
"""

import signal

_MIB = 1024 * 1024
_OF_A_SHELL = {126: "the command cannot be executed", 127: "command not found"}


def cause_of(code: int | None, *, oom: bool = False, memory: int | None = None) -> str:
    """`memory` is the limit in bytes under which it ran, where there is one."""
    if oom:
        limit = f" (its limit is {size(memory)})" if memory else ""
        return f"killed: out of memory{limit}"
    if code is None:
        return "ended"
    if code < 0:
        return f"killed by {signal_name(-code)}"
    return f"exited with code {code}{_meaning(code)}"


def signal_name(number: int) -> str:
    """`SIGSEGV`, or `signal 60` for those without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def size(count: int) -> str:
    """As the file would say it: 64MiB, 1.5GiB."""
    if count >= 1024 * _MIB:
        return f"{count / (1024 * _MIB):.4g}GiB"
    return f"{count / _MIB:.4g}MiB"


def _meaning(code: int) -> str:
    if code in _OF_A_SHELL:
        return f" ({_OF_A_SHELL[code]})"
    if 128 < code < 128 + 65:
        return f" (what it ran was killed by {signal_name(code - 128)})"
    return ""
