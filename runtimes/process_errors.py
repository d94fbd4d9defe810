"""The operating system's errors as the runtime port's."""

import contextlib
import errno
from collections.abc import Iterator

from cluster.runtime import RuntimeFailure

# What another process may give free again.
_TRANSIENT = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC}


@contextlib.contextmanager
def foreign(code: str, what: str) -> Iterator[None]:
    """Every OSError of the block becomes RuntimeFailure(code); `what` says what was tried."""
    try:
        yield
    except OSError as error:
        transient = error.errno in _TRANSIENT
        raise RuntimeFailure(code, f"{what}: {error}", transient=transient) from error
