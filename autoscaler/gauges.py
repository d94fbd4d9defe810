"""What was measured for a rule by other means than the gateway's reports.

Pure. A value that is missing is no zero: the rule then wishes what there is, or its fallback once
it has been missing for long.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gauge:
    """The present value for one rule: of all replicas together, in the unit of its target.

    `value` None: there is none, and `says` tells why. `wish` stands for value divided by target
    where that is not the way to reckon; `says` then is its sentence. `failing` is how often in a
    row asking has failed. `is_active`: it wakes the service and keeps it awake.
    """

    value: float | None
    says: str = ""
    wish: int | None = None
    failing: int = 0
    is_active: bool = False


UNKNOWN = Gauge(None, "nothing was measured yet")
