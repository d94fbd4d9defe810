"""What was measured for a rule by other means than the gateway's reports.

Pure. A value that is missing is no zero: the rule then wishes what there is, or its fallback once
it has been missing for long. What was measured too long ago is missing too.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Gauge:
    """The present value for one rule: of all replicas together, in the unit of its target.

    `value` None: there is none, and `says` tells why. `wish` stands for value divided by target
    where that is not the way to reckon; `says` then is its sentence. `failing` is how often in a
    row asking has failed. `is_active`: it wakes the service and keeps it awake. `holds`: it wakes
    nothing, but what is awake does not go to sleep while so little is known (only of rules that
    ask somebody else). It is too old to be believed from `until` (loop time) on.
    """

    value: float | None
    says: str = ""
    wish: int | None = None
    failing: int = 0
    is_active: bool = False
    holds: bool = False
    until: float = math.inf

    @property
    def cause(self) -> str:
        """Why it is active, after the name of its metric and "which"."""
        if self.value is not None:
            return f"is {self.says}"
        return f"has failed {self.failing} times ({self.says})"


UNKNOWN = Gauge(None, "nothing was measured yet")
NOT_ASKED = replace(UNKNOWN, holds=True)


def believed(gauge: Gauge, now: float) -> Gauge:
    """The gauge as far as it can be believed `now`."""
    if now < gauge.until:
        return gauge
    says = "nothing was measured lately"
    return replace(gauge, value=None, says=says, wish=None, is_active=False, holds=True)
