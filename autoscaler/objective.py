"""How many replicas keep a percentile of latency within its target: the rule `metric: latency`.

Pure. It tries: so many replicas under so much load are within the target, or beyond it, and each
answer narrows what one replica is known to bear (autoscaler/learned.py). Beyond, it adds: one or a
quarter more as long as it is not known whether that helps, twice as many once it has. Within, it
takes away what the bracket allows, halving it each time, until it is narrow; then it holds.

It never runs away. If latency does not fall although each replica has less to do, replicas are not
what it comes from: the latency there is becomes the limit, the number goes back to the least that
keeps it, and it is tried again only much later. See docs/decisions/0010-latency-objective.md.
"""

import math
from dataclasses import dataclass, replace

from autoscaler.clients import Clients
from autoscaler.gauges import Gauge
from autoscaler.learned import NARROW, Learned
from autoscaler.queueing import shown
from autoscaler.sight import Sight
from config.rules import LatencyRule

CONFIRM = 2.0  # seconds for which it must be beyond the limit
SETTLED = 4.0  # seconds of a trial that tell what a replica bears
PATIENT = 10.0  # seconds of a trial before the next is begun, or before it is given up
_SILENT = 0.001  # requests a second: none
_FEW = 20  # answers, and at least two beyond the percentile
_CAUTIOUS, _BOLD, _SURE = 1.25, 2.0, 4.0  # times the replicas there are, at once
# A latency that replicas cannot change is still the same so many times, and has drifted so many.
_STRETCH, _DRIFT = 1.2, 1.5
_FOLLOWS, _FOLLOWS_WELL = 0.25, 0.8  # of the fall of latency that a fall of load would explain
_RETRY, _DOUBT, _LONGEST = 300.0, 3600.0, 86400.0  # seconds; doubled each time in vain


@dataclass(frozen=True, slots=True)
class Step:
    """A trial that was beyond the limit: `each` is the load of one replica, `came` and `answered`
    are requests a second of all, `at_once` those under way."""

    ready: int
    each: float
    latency: float
    came: float
    answered: float
    at_once: float

    @property
    def is_overrun(self) -> bool:
        return self.answered < 0.9 * self.came


class Objective:
    """What one latency rule of one service has learned and is trying."""

    __slots__ = (
        "_beyond_since", "_chain", "_clients", "_doubt_at", "_doubts", "_floor", "_former",
        "_retries", "_retry_at", "_rose", "_slope", "_story", "_tested", "_tries", "_wanted",
        "learned", "rule",
    )  # fmt: skip

    def __init__(self, rule: LatencyRule, learned: Learned = Learned()) -> None:  # noqa: B008
        self.rule = rule
        self.relearn(learned)

    def relearn(self, learned: Learned = Learned()) -> None:  # noqa: B008
        """Begin anew, as for a new revision, or with what is known of this one."""
        self.learned = self._former = learned
        self._clients = Clients(wait=learned.wait)
        self._wanted: int | None = None
        self._tries = 0.0
        self._beyond_since: float | None = None
        self._chain: list[Step] = []
        self._rose, self._slope = 0.0, 0.0
        self._floor, self._tested, self._story = 0.0, 0.0, ""
        self._retry_at, self._retries = -math.inf, 0
        self._doubt_at, self._doubts = -math.inf, 0

    def look(self, seen: Sight, now: float) -> Gauge:
        """Of latencies: `slow` and `fast` have those since the trial began."""
        if seen.is_idle:
            self._wanted, self._chain = None, []
            return Gauge(0.0, "has no load: asks for 0", wish=0)
        if not seen.is_catching_up and self._clients.look(seen):
            self._measure_otherwise()
        if self._clients.wait:
            seen = seen.at_once()
        enough = max(_FEW, math.ceil(2 / (1 - self.rule.percentile / 100)))
        if seen.ready == 0 or seen.slow.number < enough:
            self._beyond_since = None
            return self._blind(seen, f"{seen.slow.number} of {enough} answers to judge by")
        if seen.is_catching_up:
            self._beyond_since = None
            return self._hold(None, seen, "catches up")
        slow = seen.slow.percentile(self.rule.percentile)
        fast = seen.fast.percentile(self.rule.percentile) if seen.fast.number >= enough else slow
        if min(slow, fast) > self._limit:
            return self._beyond(slow, seen, now)
        self._beyond_since = None
        if max(slow, fast) > self._limit:
            return self._hold(fast, seen, "holds")
        return self._within(slow, seen, now)

    def _measure_otherwise(self) -> None:
        """What was learned was learned in another measure."""
        self.learned = self._former = Learned(wait=self._clients.wait)
        self._tries = 0.0
        for index, step in enumerate(self._chain):
            load = step.at_once if self._clients.wait else step.came
            self._chain[index] = replace(step, each=load / step.ready)

    @property
    def _limit(self) -> float:
        return max(self.rule.target, self._floor * _STRETCH)

    # Too little to judge by

    def _blind(self, seen: Sight, why: str) -> Gauge:
        if seen.slow.seconds < seen.stable_window - 2 * CONFIRM:
            unknown = self._wanted is None and not self.learned.good
            return Gauge(None, why) if unknown else self._hold(None, seen, why)
        if self.learned.good:
            self._wanted = self._needed(seen, self._bears)
        else:
            # Whatever they ask for, so few at once are no load for many replicas.
            present = self._wanted or max(1, seen.desired)
            self._wanted = min(present, max(1, math.ceil(2 * seen.concurrency)))
        return self._gauge(None, seen, why)

    # Beyond the limit

    def _beyond(self, latency: float, seen: Sight, now: float) -> Gauge:
        if self._beyond_since is None:
            self._beyond_since = now
        if now - self._beyond_since < CONFIRM:
            return self._hold(latency, seen, "looks again")
        if self._chain and self._chain[-1].ready == seen.ready:
            return self._hold(latency, seen, "waits for replicas")
        if seen.rate < _SILENT:
            return self._hold(latency, seen, "catches up")
        each = seen.load / seen.ready
        here = Step(seen.ready, each, latency, seen.rate, seen.answered, seen.concurrency)
        if here.each <= self.learned.good * NARROW and self._drifts(here, seen, now):
            self._floor = latency
            return self._hold(latency, seen, "holds")
        # What does not get worse by waiting is not judged by its first seconds.
        mild = latency < _BOLD * self._limit or here.each <= self.learned.good * NARROW
        if not seen.is_growing and seen.slow.seconds < (PATIENT if mild else SETTLED):
            return self._hold(latency, seen, "looks longer")
        return self._climb(here, seen, now)

    def _drifts(self, here: Step, seen: Sight, now: float) -> bool:
        """They bear that, and latency came from elsewhere: that has become slower."""
        lately = here.latency <= self._tested * _DRIFT and now < self._retry_at
        return lately and not seen.is_shrinking

    def _climb(self, here: Step, seen: Sight, now: float) -> Gauge:
        self._chain = [step for step in self._chain if step.ready < here.ready]
        if self._chain:
            before = self._chain[-1]
            self._rose, self._slope = _rose(before, here), _slope(before, here)
            follows = self._rose >= _FOLLOWS_WELL / 2 or _fell(before, here) >= _FOLLOWS
            if not follows and here.each < before.each * 0.95:
                if seen.is_shrinking or seen.slow.seconds < PATIENT:
                    return self._hold(here.latency, seen, "looks longer")
                return self._does_not_follow(here, seen, now)
        else:
            self._former, self._rose, self._slope = self.learned, 0.0, 0.0
        self._chain.append(here)
        if not seen.is_shrinking:
            self.learned = self.learned.beyond(here.each)
        self._doubt_at = now + min(_LONGEST, _DOUBT * 2**self._doubts)
        self._wanted, self._tries = max(self._more(here, seen), seen.ready + 1), 0.0
        return self._gauge(here.latency, seen, "")

    def _more(self, here: Step, seen: Sight) -> int:
        if self.learned.good:
            return self._needed(seen, self._bears)
        if self._rose >= _FOLLOWS_WELL and here.is_overrun:
            # What they answer while more come is all that they can.
            return math.ceil(seen.ready * min(_SURE, seen.rate / here.answered * 1.1))
        if self._slope >= _FOLLOWS_WELL:
            share = math.pow(here.latency / self._limit, 1 / self._slope)
            return math.ceil(seen.ready * min(_BOLD, share))
        return int(seen.ready * _CAUTIOUS)

    def _does_not_follow(self, here: Step, seen: Sight, now: float) -> Gauge:
        """Back to as few as were just as fast."""
        first = self._chain[0]
        self._floor = self._tested = here.latency
        fine = [s.each for s in self._chain if s.latency <= self._limit and not s.is_overrun]
        good = max([self._former.good, here.each, *fine])
        worse = [s.each for s in self._chain if s.latency > self._limit or s.is_overrun]
        bad = min((load for load in (self._former.bad, *worse) if load > good), default=math.inf)
        pace = self._former.pace or seen.slow.mean
        self.learned = Learned(good, bad, pace, self._clients.wait)
        self._story = (
            f"does not follow the number of replicas: {shown(first.latency)} at "
            f"{first.ready}, {shown(here.latency)} at {here.ready}; "
        )
        self._chain, self._beyond_since = [], None
        self._retry_at = now + min(_LONGEST, _RETRY * 2**self._retries)
        self._retries += 1
        self._wanted, self._tries = max(1, math.ceil(round(seen.demand / good, 6))), good
        return self._gauge(here.latency, seen, "")

    # Within the limit

    def _within(self, latency: float, seen: Sight, now: float) -> Gauge:
        if latency <= self.rule.target and self._floor:
            self._floor, self._story, self._retries = 0.0, "", 0
        if seen.is_growing or seen.rate < _SILENT or seen.slow.seconds < SETTLED:
            return self._hold(latency, seen, "looks longer")
        if self._floor and now >= self._retry_at:
            # Beyond the target again: whether it follows by now is found out from here.
            self._floor = 0.0
            return self._hold(latency, seen, "is tried again")
        self._chain = []
        self.learned = self.learned.within(seen.load / seen.ready, seen.slow.mean)
        if self.learned.bad < math.inf and now >= self._doubt_at:
            self._doubts += 1
            self._doubt_at = now + min(_LONGEST, _DOUBT * 2**self._doubts)
            self.learned = self.learned.doubting()
        self._wanted = self._fewer(latency, seen)
        self._tries = (seen.demand + 2 * seen.chance) / self._wanted
        return self._gauge(latency, seen, "")

    def _fewer(self, latency: float, seen: Sight) -> int:
        """As many as are known to do, or fewer to learn whether they do."""
        known = self._needed(seen, self._bears)
        if seen.slow.seconds < PATIENT or seen.is_rising:
            return known
        spare = (latency - self._floor) / (self._limit - self._floor)
        # Latency grows as the load of each, or less, up to the knee; what fails is to fail mildly.
        tried = max(
            math.ceil(seen.demand / self.learned.to_be_tried),
            math.ceil(seen.ready * spare),
            seen.ready - max(1, seen.ready // 4),
            1,
        )
        return min(known, tried) if tried < seen.ready else known

    # Wishes

    @property
    def _bears(self) -> float:
        """Requests a second of one replica; twice what it has shown if it was never too much."""
        return self.learned.good * (1 if self.learned.bad < math.inf else 2)

    def _needed(self, seen: Sight, bears: float) -> int:
        """For what is to be expected, and not another number for what may be chance."""
        sure = seen.demand if seen.is_rising else seen.demand - seen.chance
        least = math.ceil(round(sure / bears, 6))
        most = math.ceil(round((seen.demand + 2 * seen.chance) / bears, 6))
        present = self._wanted or seen.ready
        if self.learned.bad == math.inf:
            most = max(most, min(present, seen.ready))
        return max(1, min(max(present, least), most))

    def _hold(self, latency: float | None, seen: Sight, why: str) -> Gauge:
        """No fewer than were wanted; more if more requests than these are for have come."""
        bears = max(self._bears, self._tries)
        known = self._needed(seen, bears) if bears else 0
        wanted = self._wanted if self._wanted is not None or known else max(1, seen.desired)
        self._wanted = max(wanted or 0, known)
        return self._gauge(latency, seen, why)

    def _gauge(self, latency: float | None, seen: Sight, why: str) -> Gauge:
        assert self._wanted is not None
        parts = [f"at {seen.ready} ready"]
        if latency is not None:
            target = shown(self.rule.target)
            parts = [
                f"p{self.rule.percentile:g} {shown(latency)} of {target} at {seen.ready} ready"
            ]
        if why:
            parts.append(why)
        if self.learned.good:
            load, bears = map(self.learned.at_once, (seen.demand, self.learned.good))
            parts.append(f"load {load:.3g} at {bears:.3g} learned per replica")
        says = f"{self._story}{', '.join(parts)} asks for {self._wanted}"
        return Gauge(latency or 0.0, says, wish=self._wanted)


def _fell(before: Step, after: Step) -> float:
    """How far latency fell with the load of each replica: 1 is in proportion."""
    expected = max(0.02, 1 - after.each / before.each)
    return (1 - after.latency / before.latency) / expected


def _rose(before: Step, after: Step) -> float:
    """How far throughput rose with the number of replicas: 1 is in proportion."""
    if before.answered <= 0:
        return 0.0
    return (after.answered / before.answered - 1) / (after.ready / before.ready - 1)


def _slope(before: Step, after: Step) -> float:
    """Of the logarithms of latency over load; 1 is in proportion, more is a knee or a backlog."""
    if after.each >= before.each:
        return 0.0
    return math.log(before.latency / after.latency) / math.log(before.each / after.each)
