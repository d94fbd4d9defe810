"""The garbage collector looks at what is young; what lives on is frozen.

What requests and connections leave behind is freed by its reference counts: a full collection finds
nothing, but walks every connection, 10 ms and more with ten thousand of them. Survivors of the
young generations are therefore frozen, and a full look is taken when nobody is kept waiting by it.
"""

import gc
from collections.abc import Mapping

QUIET_EVERY = 600.0  # seconds between full looks while nothing is under way
BUSY_EVERY = 3600.0  # and while there always is: what a fault may have left is bounded


class Collector:
    """Freezes survivors from `watch` on."""

    def __init__(self) -> None:
        self._looked = 0.0
        self._watching = False

    def watch(self, now: float) -> None:
        """Freeze what there is, and from now on whatever lives through two collections."""
        self._looked = now
        self.look()
        if not self._watching:
            self._watching = True
            gc.callbacks.append(_freeze_survivors)

    def close(self) -> None:
        if self._watching:
            self._watching = False
            gc.callbacks.remove(_freeze_survivors)

    def tick(self, now: float, busy: bool) -> None:
        """Take a full look if one is due."""
        if now - self._looked >= (BUSY_EVERY if busy else QUIET_EVERY):
            self._looked = now
            gc.unfreeze()
            self.look()

    @staticmethod
    def look() -> None:
        """Collect all that is not frozen, and freeze the rest."""
        gc.collect()
        gc.freeze()


def _freeze_survivors(phase: str, facts: Mapping[str, int]) -> None:
    if phase == "stop" and facts["generation"] == 1:
        gc.freeze()
