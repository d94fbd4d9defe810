"""One Tidegate for one owner: a lock that ends with its process, however that ends."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another Tidegate holds the state directory."""


@contextlib.contextmanager
def held(state_dir: Path, owner: str) -> Iterator[None]:
    """Hold the owner's lock. Raises AlreadyRunning, or OSError where the folder cannot be made."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if state_dir.stat().st_mode & stat.S_IWOTH:
        raise PermissionError(
            f"everybody on this machine may write to the state folder {state_dir}, and so decide "
            f"what Tidegate adopts and kills; chmod 700 {state_dir}, or set another state_dir"
        )
    descriptor = os.open(state_dir / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "r+") as file:
        os.fchmod(descriptor, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f'a Tidegate with the owner "{owner}" is running already (process '
                f"{file.read().strip() or 'unknown'}); stop it, or set another `owner` in the file"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
