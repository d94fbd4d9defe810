"""When what the probes saw becomes a verdict on a replica.

Pure. Thresholds count results in a row, as in Kubernetes: a failing readiness takes a replica out
of service and a passing one brings it back; a failing liveness has it evicted, and a start that
misses its deadline condemns it. An endpoint that others run is never condemned.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from cluster.lifecycle import Event, State
from cluster.model import InstanceHealth, Replica
from config.health import Check, Health, Probe
from health.duties import Duty, is_static, is_tcp, probed_address, repeated

IMAGE_SAYS_NO = "the HEALTHCHECK of its image says unhealthy"


class Result(StrEnum):
    """UNKNOWN: we could not look (no free descriptor, engine away). It counts for nothing."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one try saw, in words that fit behind "last try: "."""

    result: Result
    text: str

    @property
    def passed(self) -> bool:
        return self.result is Result.PASSED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the replica, and why. Event None: nothing does, but people should know."""

    event: Event | None
    reason: str


@dataclass(slots=True)
class Streak:
    """Equal results in a row."""

    successes: int = 0
    failures: int = 0
    text: str = ""

    def record(self, finding: Finding) -> None:
        if finding.result is Result.UNKNOWN:
            return
        self.successes = self.successes + 1 if finding.passed else 0
        self.failures = 0 if finding.passed else self.failures + 1
        self.text = finding.text

    def passes(self, probe: Probe) -> bool:
        return self.successes >= probe.successes

    def fails(self, probe: Probe) -> bool:
        return self.failures >= probe.failures


@dataclass(slots=True)
class Vitals:
    """The streaks of one replica."""

    readiness: Streak = field(default_factory=Streak)
    liveness: Streak = field(default_factory=Streak)

    def of(self, duty: Duty) -> Streak:
        return self.liveness if duty is Duty.LIVENESS else self.readiness


def judge(
    replica: Replica, vitals: Vitals, health: Health, evicted: bool = False
) -> Verdict | None:
    """What the repeated probes say of ready or not, None while nothing changes.

    An `evicted` replica returns only when its liveness passes, too.
    """
    deciding = _deciding(replica, health, evicted)
    if replica.state is State.READY:
        return _unready(deciding, vitals)
    if replica.state is State.UNHEALTHY and deciding:
        return _recovered(deciding, vitals)
    return None


def fails_liveness(replica: Replica, vitals: Vitals, health: Health) -> Verdict | None:
    """Why a replica of ours should go; whether it may is for `health.eviction` to say."""
    probe = health.liveness
    if is_static(replica) or probe is None or not vitals.liveness.fails(probe):
        return None
    return Verdict(None, _failed(Duty.LIVENESS, vitals.liveness))


def image_says(replica: Replica, former: InstanceHealth | None, after: float) -> Verdict | None:
    """News of the engine's own check, which said `former` before; `after` seconds of watching."""
    if replica.health is InstanceHealth.HEALTHY:
        return Verdict(Event.PASSED, f"the HEALTHCHECK of its image passes after {_span(after)}")
    if replica.health is InstanceHealth.UNHEALTHY and replica.state is State.STARTING:
        # Where that is the first we hear, it was adopted: it has served, and others may be as it
        # is. It goes when its turn comes.
        return Verdict(Event.PASSED if former is None else Event.CONDEMNED, IMAGE_SAYS_NO)
    return None


def _deciding(replica: Replica, health: Health, evicted: bool) -> dict[Duty, Probe]:
    """The probes that decide between ready and unhealthy."""
    both = evicted or is_static(replica)
    kinds = (Duty.READINESS, Duty.LIVENESS) if both else (Duty.READINESS,)
    return {kind: probe for kind in kinds if (probe := repeated(kind, health))}


def _unready(deciding: dict[Duty, Probe], vitals: Vitals) -> Verdict | None:
    for kind, probe in deciding.items():
        if vitals.of(kind).fails(probe):
            return Verdict(Event.UNREADY, _failed(kind, vitals.of(kind)))
    return None


def _recovered(deciding: dict[Duty, Probe], vitals: Vitals) -> Verdict | None:
    if not all(vitals.of(kind).passes(probe) for kind, probe in deciding.items()):
        return None
    texts = ", ".join(vitals.of(kind).text for kind in deciding)
    return Verdict(Event.PASSED, f"it passes its probes again ({texts})")


def _failed(kind: Duty, streak: Streak) -> str:
    times = f", {streak.failures} times in a row" if streak.failures > 1 else ""
    return f"{kind} failed{times}: {streak.text}"


@dataclass(slots=True)
class Opening:
    """From the first try to the first success of startup and then, if asked for, of readiness.

    Also the way back of an unhealthy replica that has no readiness probe. `began` is loop time.
    """

    began: float
    opened: bool = False
    told: bool = False

    def check(self, health: Health) -> Check:
        """What to try next."""
        return health.readiness if self.opened and health.readiness else health.startup

    def record(
        self,
        finding: Finding,
        replica: Replica,
        health: Health,
        now: float,
        late: Event | None = Event.CONDEMNED,
    ) -> Verdict | None:
        """`late`: what becomes of one of ours that is overdue; None: nothing for now."""
        if finding.passed:
            return self._passed(finding, health, now)
        if self.is_overdue(health, now):
            return self._overdue(finding, replica, health, late)
        return None

    def is_overdue(self, health: Health, now: float) -> bool:
        return now - self.began >= health.startup.deadline

    def until_deadline(self, health: Health, now: float) -> float:
        """Seconds, infinite once it has passed."""
        left = self.began + health.startup.deadline - now
        return left if left > 0 else float("inf")

    def _passed(self, finding: Finding, health: Health, now: float) -> Verdict | None:
        if health.readiness and not self.opened:
            self.opened = True
            return None
        return Verdict(Event.PASSED, f"{finding.text} after {_span(now - self.began)}")

    def _overdue(
        self, finding: Finding, replica: Replica, health: Health, late: Event | None
    ) -> Verdict | None:
        reason = _late(finding, self.check(health), replica, health)
        if late is not None and not is_static(replica):
            return Verdict(late, reason)
        verdict = None if self.told else Verdict(None, reason)
        self.told = True
        return verdict


def _late(finding: Finding, check: Check, replica: Replica, health: Health) -> str:
    within = f"within {_span(health.startup.deadline)} (last try: {finding.text})"
    if not is_tcp(check):
        return f"it was not ready {within}"
    again = " again" if replica.state is State.UNHEALTHY else ""
    port = replica.address and probed_address(check, replica.address).port
    return f"port {port} did not open{again} {within}"


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3g} s"
