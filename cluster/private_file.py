"""Files that hold what is nobody else's business: for the owner alone from the first moment.

In one step: a reader finds the former content or the new one, never a part. It is not forced to the
disk: what a machine that goes down forgets, it does not need.
"""

import os
from pathlib import Path

_MODE = 0o600


def write(file: Path, content: bytes) -> None:
    """Raises OSError; then the former content stays and nothing is left beside it."""
    draft = file.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
    try:
        with open(descriptor, "wb") as writer:
            writer.write(content)
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
