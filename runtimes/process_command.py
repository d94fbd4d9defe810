"""What exactly is run for a replica: its words, its environment, its program.

Pure but for looking up the program.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.runtime import RuntimeFailure
from cluster.workload import Workload

# What a program may expect of any login; all else of our environment stays ours.
_INHERITED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
)  # fmt: skip
_PORT = re.compile(r"\$(?:PORT\b|\{PORT\})")


def environment(
    ours: Mapping[str, str], workload: Workload, replica: str, port: int
) -> dict[str, str]:
    """Ours where it is harmless, then the workload's, then what Tidegate promises a replica."""
    return {
        "PATH": os.defpath,
        **{name: ours[name] for name in _INHERITED if name in ours},
        # Lines of a Python program shall be in the log when they are printed (as honcho does).
        "PYTHONUNBUFFERED": "1",
        **dict(workload.env),
        "PORT": str(port),
        "TIDEGATE_SERVICE": workload.service,
        "TIDEGATE_REVISION": workload.revision,
        "TIDEGATE_REPLICA": replica,
    }


def with_port(command: Sequence[str], port: int) -> list[str]:
    """The words with `$PORT` and `${PORT}` replaced."""
    return [_PORT.sub(str(port), word) for word in command]


def check(command: Sequence[str], env: Mapping[str, str], directory: Path) -> None:
    """Raises RuntimeFailure when this cannot be run, before anything is started."""
    if not command or not command[0]:
        raise RuntimeFailure("bad-workload", "the process runtime needs a command")
    if any("\0" in text for text in (*command, *env, *env.values())):
        raise RuntimeFailure("bad-workload", "the command or its environment has a NUL character")
    if any("=" in name or not name for name in env):
        raise RuntimeFailure("bad-workload", 'a variable\'s name is empty or has a "=" in it')
    if not directory.is_dir():
        raise RuntimeFailure("start-failed", f'there is no folder "{directory}" to run in')
    _check_program(command[0], env["PATH"], directory)


def unheeded(workload: Workload) -> list[str]:
    """Keys of the workload that mean nothing to a plain process."""
    limits = workload.resources
    wishes = {
        "image": workload.image,
        "secrets": workload.secrets,
        "volumes": workload.volumes,
        "networks": workload.networks,
        "resources": limits.cpu or limits.memory or limits.pids,
        "read_only": workload.read_only,
        "cap_drop": workload.cap_drop,
        "cap_add": workload.cap_add,
        "tmpfs": workload.tmpfs,
        "init": workload.init,
    }
    return [key for key, wish in wishes.items() if wish]


def _check_program(program: str, search: str, directory: Path) -> None:
    if "/" not in program:
        if shutil.which(program, path=search) is None:
            raise RuntimeFailure("start-failed", f'command "{program}" not found in PATH')
        return
    path = directory / program
    if not path.is_file():
        raise RuntimeFailure("start-failed", f'command "{path}" does not exist')
    if not os.access(path, os.X_OK):
        raise RuntimeFailure("start-failed", f'command "{path}" may not be executed; chmod +x it')
