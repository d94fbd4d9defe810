"""The secret from which the lease tokens of replicas are made: one file in the state folder.

A token is an HMAC of the service's name, so none has to be kept, all replicas of a service have
the same, and those of a kept replica are still right after a restart.
"""

import hmac
import logging
import os
import secrets
from pathlib import Path
from typing import Self

log = logging.getLogger("tidegate")

NAME = "lease.key"
_SIZE = 32  # bytes, as long as the digest (RFC 2104 §3)
_PURPOSE = b"tidegate lease of "


class LeaseKey:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The one of this state folder, made at its first use. Raises OSError."""
        path = folder / NAME
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = b""
        if len(secret) != _SIZE:
            if secret:
                aside = path.rename(path.with_suffix(".unreadable"))
                log.warning(
                    "the lease key was not one and is put aside (%s); a new one is made, and kept "
                    "replicas cannot take leases until they are restarted",
                    aside,
                )
            secret = secrets.token_bytes(_SIZE)
            _write(path, secret)
        path.chmod(0o600)
        return cls(secret)

    def token(self, service: str) -> str:
        """What a replica of this service shows to take and give back leases of it."""
        return hmac.new(self._secret, _PURPOSE + service.encode(), "sha256").hexdigest()


def _write(path: Path, secret: bytes) -> None:
    """All or nothing, and never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(descriptor)
    draft.rename(path)
