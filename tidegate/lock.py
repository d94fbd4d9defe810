"""One Tidegate for one owner: a lock that ends with its process, however that ends."""

import contextlib
import fcntl
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another Tidegate holds the state directory."""


class OwnerLock:
    """May be given away while the process lives, and taken back."""

    def __init__(self, state_dir: Path, owner: str) -> None:
        self._state_dir = state_dir
        self._owner = owner
        self._file: io.TextIOWrapper | None = None

    def take(self) -> None:
        """Raises AlreadyRunning, or OSError where the folder cannot be made."""
        state_dir = self._state_dir
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if state_dir.stat().st_mode & stat.S_IWOTH:
            raise PermissionError(
                f"everybody on this machine may write to the state folder {state_dir}, and so "
                f"decide what Tidegate adopts and kills; chmod 700 {state_dir}, or set another "
                "state_dir"
            )
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(state_dir / "owner.lock", flags, 0o600)
        with contextlib.ExitStack() as undo:
            file = undo.enter_context(open(descriptor, "r+"))
            os.fchmod(descriptor, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise AlreadyRunning(
                    f'a Tidegate with the owner "{self._owner}" is running already (process '
                    f"{file.read().strip() or 'unknown'}); stop it, or set another `owner` in the "
                    "file"
                ) from None
            # It is for people to read: a full disk is no reason to stay away.
            with contextlib.suppress(OSError):
                file.truncate(0)
                os.write(descriptor, str(os.getpid()).encode())
            undo.pop_all()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@contextlib.contextmanager
def held(state_dir: Path, owner: str) -> Iterator[OwnerLock]:
    """Hold the owner's lock. Raises AlreadyRunning, or OSError where the folder cannot be made."""
    lock = OwnerLock(state_dir, owner)
    lock.take()
    try:
        yield lock
    finally:
        lock.release()
