"""What a service is used by, and until when it was: requests, what is measured, leases, others.

Pure. Each of them keeps it awake and puts off its way to zero. A lease is use until it ends, but
wakes nothing that sleeps. Being needed by others is no use of its own, else two services of one
group would keep each other awake for ever.
"""

import math

from autoscaler.gauges import NOT_ASKED, Gauge, believed
from autoscaler.load import Load
from autoscaler.needs import Need
from config.rules import Asked, CpuRule, MemoryRule, MetricRule
from config.scaling import Scaling
from config.units import format_duration


class Use:
    """Of one service. Moments are loop time; `up`: replicas are there and not frozen."""

    __slots__ = (
        "_asking", "_held_until", "_leased_awake", "_needed_at", "gauges", "leased_until", "load",
        "needed", "works_unseen",
    )  # fmt: skip

    def __init__(
        self, scaling: Scaling, load: Load, gauges: dict[MetricRule, Gauge] | None
    ) -> None:
        self.load = load
        self.gauges = {} if gauges is None else gauges
        self.leased_until = -math.inf
        self._leased_awake = -math.inf  # until when, of the part in which it was awake
        self.needed: Need | None = None
        self._needed_at = -math.inf
        self._held_until = -math.inf
        self.configure(scaling)

    def configure(self, scaling: Scaling) -> None:
        rules = scaling.metric_rules
        self._asking = tuple(rule for rule in rules if isinstance(rule, Asked))
        # While some replicas are always there, they may have work that no request tells of: the
        # formula decides, and not the ladder, which would only know the floor.
        self.works_unseen = any(isinstance(rule, CpuRule | MemoryRule) for rule in rules)

    # Facts

    def seen(self, now: float) -> None:
        """It was in use just now."""
        self.load.last_activity = max(self.load.last_activity, now)

    def measured(self, rule: MetricRule, gauge: Gauge, *, up: bool, now: float) -> None:
        """Activity lasts until it is known that there is none."""
        was_kept = self._is_kept(up, now)
        self.gauges[rule] = gauge
        if was_kept or self._is_kept(up, now):
            self.seen(now)

    def lease(self, until: float, *, up: bool) -> None:
        """It is leased until then, as told last."""
        self.leased_until = until
        if up:
            self._leased_awake = until

    def roused(self) -> None:
        """It is awake from now on: a lease that found it asleep counts."""
        self._leased_awake = max(self._leased_awake, self.leased_until)

    def need(self, need: Need | None, now: float) -> None:
        """Others need it from now on, or not any more."""
        if need is None and self.needed is not None and self.needed.lingers:
            self._needed_at = now
        self.needed = need

    def hold(self, until: float) -> None:
        """Not stopped before, whatever was seen."""
        self._held_until = until

    def forget(self) -> None:
        """Whatever it was in use for has been long ago."""
        self.load.last_activity = self._leased_awake = self._needed_at = -math.inf

    # Reading

    def is_on(self, *, up: bool, now: float) -> bool:
        """It is in use right now."""
        return self.load.is_busy(now) or self._is_kept(up, now)

    def last(self, *, there: bool, up: bool, now: float) -> float:
        """When it was in use by itself. `there`: it has replicas, frozen or not."""
        if self.is_on(up=up, now=now):
            return now
        return max(self.load.last_activity, self._leased_awake if there else -math.inf)

    def last_of_all(self, *, there: bool, up: bool, now: float) -> float:
        """The same, or when others needed it."""
        return max(self.last(there=there, up=up, now=now), self._needed_at)

    def held_until(self, *, there: bool) -> float:
        """Not stopped before; what a lease found frozen stays so."""
        return max(self._held_until, self.leased_until if there else -math.inf)

    def beside_requests(self, now: float) -> str:
        """What keeps it awake beside requests; empty: nothing."""
        if self.needed:
            return f"kept awake by {self.needed.why}"
        if now < self.leased_until:
            return f"leased for another {format_duration(math.ceil(self.leased_until - now))}"
        return ""

    def ended(self, after: float | None, whose: str) -> str:
        """Why it goes down a step `after` seconds."""
        others, requests = max(self._leased_awake, self._needed_at), self.load.last_activity
        if after is None or max(requests, others) == -math.inf:
            return "no request yet"
        what = "no request" if requests >= others else "no request, no lease and no need"
        if self.load.has_silent:
            what = what.replace("no request", "no request, no byte", 1)
        return f"{what} for {format_duration(after)} ({whose})"

    def _is_kept(self, up: bool, now: float) -> bool:
        """By what was measured, or by not knowing: the latter wakes and thaws nothing."""
        for rule in self._asking:
            gauge = believed(self.gauges.get(rule, NOT_ASKED), now)
            if gauge.is_active or (gauge.holds and up):
                return True
        return False
