"""The leases of all services as one file in the state folder: a restart of Tidegate ends none.

Written whole at each change, by wall-clock time. It is a convenience, not a promise: what cannot be
written or read is told, and the leases of the running process hold all the same.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from autoscaler.leases import Kept
from cluster import private_file

log = logging.getLogger("tidegate")

NAME = "leases.json"


class LeaseBook:
    """Implements autoscaler.leasing.Book."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def read(self) -> Sequence[Kept]:
        try:
            return [Kept(**entry) for entry in json.loads(self._path.read_bytes())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s is not readable, leases from before are lost: %s", self._path, error)
            return []

    def write(self, leases: Sequence[Kept]) -> None:
        """All or nothing."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = json.dumps([asdict(lease) for lease in leases])
            private_file.write(self._path, content.encode())
        except OSError as error:
            log.warning("a restart would end all leases, they cannot be written: %s", error)
