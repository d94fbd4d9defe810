"""One Tidegate for one owner: a lock that ends with its process, however that ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another Tidegate holds the state directory."""


@contextlib.contextmanager
def held(state_dir: Path, owner: str) -> Iterator[None]:
    """Hold the owner's lock. Raises AlreadyRunning, or OSError where the folder cannot be made."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state_dir / "owner.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f'a Tidegate with the owner "{owner}" is running already (process '
                f"{file.read().strip() or 'unknown'}); stop it, or set another `owner` in the file"
            ) from None
        # It is for people to read: a full disk is no reason to stay away.
        with contextlib.suppress(OSError):
            file.truncate(0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield
