"""A control plane of plain data for the admin API and the command line: real values, no engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from admin.ports import ReloadResult, UpgradeResult
from admin.views import LeaseView, ReplicaView, RolloutView, ServiceView, TroubleView, moment
from cluster.events import Events
from cluster.lifecycle import State
from cluster.model import Address, Mode, Replica
from cluster.rollout import Phase
from cluster.runtime import LogLine, RuntimeFailure

NOON = 1_700_000_000.0  # 2023-11-14T22:13:20Z

DECISION: dict[str, Any] = {
    "at": NOON,
    "before": 1,
    "replicas": 2,
    "mode": "stable",
    "reason": "15 in flight on average over 60s, target 10 per replica",
}
FORMER: dict[str, Any] = {
    "at": NOON - 60,
    "since": NOON - 60,
    "until": NOON,
    "before": 0,
    "replicas": 1,
    "frozen": False,
    "mode": "stable",
    "reason": "woken by a request, initial is 1",
    "inputs": {"ready": 0, "starting": 0, "frozen": 0, "in_flight": 0, "queued": 1},
    "wishes": [
        {
            "rule": "concurrency",
            "window": 60.0,
            "measured": 0.5,
            "target": 10.0,
            "replicas": 1,
            "says": "",
            "reason": "concurrency 0.5 over 1m at 10 per replica asks for 1",
        }
    ],
    "limits": [],
    "result": {
        "there": 1,
        "wanted": 1,
        "seconds": 1.3,
        "stage": "reached",
        "trouble": None,
        "says": "1 replica ready after 1.3s",
    },
}
EXPLANATION: dict[str, object] = {
    "at": NOON,
    "inputs": {
        "ready": 2,
        "starting": 0,
        "frozen": 0,
        "in_flight": 110,
        "queued": 5,
        "stable_concurrency": 115.2,
        "panic_concurrency": 118.0,
        "stable_rps": 250.0,
        "panic_rps": 260.5,
    },
    "rules": [
        {"rule": "concurrency", "wish": 12, "reason": "115 in flight on average, target 10"},
        {"rule": "rps", "wish": 3, "reason": "250 requests a second, target 100"},
    ],
    "limits": [{"limit": "max", "before": 12, "after": 10, "reason": "scaling.max is 10"}],
    "outcome": {
        "replicas": 10,
        "frozen": False,
        "mode": "panic",
        "reason": "115 in flight on average, target 10; scaling.max is 10",
    },
    "manual": None,
    "panic_ends_in": 42.0,
    "idle_seconds": 0.2,
    "next_step_down_in": None,
    "trouble": None,
}


def replica(name: str, state: State, reason: str = "", in_flight: int = 0) -> ReplicaView:
    service = name.rpartition("-")[0]
    record = Replica(
        id=name,
        service=service,
        revision="0a1b2c3d",
        state=state,
        started_at=NOON,
        since=0.0,
        instance=f"i-{name}",
        address=Address("127.0.0.1", 40_000),
        reason=reason,
    )
    return ReplicaView.of(record, in_flight)


def awake(name: str = "web") -> ServiceView:
    return ServiceView(
        name=name,
        revision="0a1b2c3d",
        desired=2,
        mode=Mode.STABLE,
        in_flight=7,
        queued=1,
        replicas=(
            replica(f"{name}-1", State.READY, "startup probe passed", in_flight=7),
            replica(f"{name}-2", State.STARTING),
        ),
        last_decision=DECISION,
        hosts=(f"{name}.localhost",),
        max=10,
        ready=1,
    )


def asleep(name: str = "api") -> ServiceView:
    return ServiceView(name, "ffffffff", 0, Mode.IDLE, 0, 0, hosts=(f"{name}.localhost",), max=10)


def broken(name: str = "job") -> ServiceView:
    trouble = TroubleView("crash-looping", "exited with code 1: [boom]", 4.0)
    return replace(asleep(name), desired=1, mode=Mode.STABLE, trouble=trouble)


def rolled_back(revision: str, phase: Phase = Phase.ROLLED_BACK) -> RolloutView:
    return RolloutView(phase, revision, "0a1b2c3d", "0a1b2c3d", 1, 0, None, "by hand")


def ticking_clock() -> float:
    return NOON


@dataclass(slots=True)
class OperatedPlane:
    """Implements admin.ports.ControlPlane; a test sets its fields and reads them back."""

    known: dict[str, ServiceView] = field(
        default_factory=lambda: {one.name: one for one in (awake(), asleep(), broken())}
    )
    events: Events = field(default_factory=lambda: Events(ticking_clock))
    unready: str | None = None
    upgraded: UpgradeResult = field(default_factory=lambda: UpgradeResult(True, 4711))
    result: ReloadResult = field(default_factory=lambda: ReloadResult(True, changed=("web",)))
    reload_gate: asyncio.Event | None = None
    reloading: asyncio.Event = field(default_factory=asyncio.Event)
    reloaded: asyncio.Event = field(default_factory=asyncio.Event)
    lines: Sequence[LogLine] = (
        LogLine("web-1", "stdout", "hello", NOON),
        LogLine("web-2", "stderr", "oh no"),
    )
    logs_fail: RuntimeFailure | None = None
    logs_closed: asyncio.Event = field(default_factory=asyncio.Event)
    asked_logs: tuple[str, int, bool] | None = None
    more_lines: "asyncio.Queue[LogLine]" = field(default_factory=asyncio.Queue)
    refreshed: int = 0
    woken: list[str] = field(default_factory=list)
    hand: dict[str, tuple[int, float | None]] = field(default_factory=dict)
    restarted: list[str] = field(default_factory=list)
    former: dict[str, str] = field(default_factory=dict)  # the revision to go back to

    async def refresh(self) -> None:
        self.refreshed += 1

    def services(self) -> Sequence[ServiceView]:
        return list(self.known.values())

    def service(self, name: str) -> ServiceView | None:
        return self.known.get(name)

    def decisions(
        self, name: str, limit: int, at: float | None = None
    ) -> Sequence[Mapping[str, object]]:
        past = [one for one in (DECISION, FORMER) if at is None or one["at"] <= at]
        return past[:limit]

    def explain(self, name: str) -> Mapping[str, object]:
        return EXPLANATION

    def scale(self, name: str, replicas: int, duration: float | None) -> None:
        service = self.known[name]
        if replicas > service.max:
            raise ValueError(f"scaling.max of {name} is {service.max}")
        self.hand[name] = (replicas, duration)
        self.known[name] = replace(service, desired=replicas, mode=Mode.MANUAL)

    def automatic(self, name: str) -> None:
        self.hand.pop(name, None)
        self.known[name] = replace(self.known[name], mode=Mode.STABLE)

    def lease(self, name: str, seconds: float, wake: bool, replica: str | None) -> LeaseView:
        service = self.known[name]
        if seconds > 86_400:
            raise ValueError("a lease must be longer than nothing and last at most 24h")
        taken = LeaseView(f"l{len(service.leases)}", name, moment(NOON + seconds), replica)
        self.known[name] = replace(service, leases=(*service.leases, taken))
        self.woken += [name] * wake
        return taken

    def release(self, name: str, id: str) -> LeaseView | None:
        service = self.known[name]
        taken = {lease.id: lease for lease in service.leases}
        given_back = taken.pop(id, None)
        self.known[name] = replace(service, leases=tuple(taken.values()))
        return given_back

    def restart(self, name: str) -> None:
        self.restarted.append(name)

    def rollback(self, name: str) -> None:
        if name not in self.former:
            raise ValueError(f"no other revision of {name} is known to have been healthy")
        self.known[name] = replace(
            self.known[name], revision=self.former[name], rollout=rolled_back(self.former[name])
        )

    def release_rollback(self, name: str) -> None:
        self.known[name] = replace(self.known[name], revision="0a1b2c3d", rollout=None)

    async def reload(self) -> ReloadResult:
        self.reloading.set()
        if self.reload_gate is not None:
            await self.reload_gate.wait()
        self.reloaded.set()
        return self.result

    async def upgrade(self) -> UpgradeResult:
        return self.upgraded

    async def logs(self, name: str, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        self.asked_logs = (name, tail, follow)
        try:
            for line in self.lines:
                yield line
            if self.logs_fail is not None:
                raise self.logs_fail
            while follow:
                yield await self.more_lines.get()
        finally:
            self.logs_closed.set()

    def problems(self) -> Sequence[str]:
        return self.result.problems

    def readiness(self) -> str | None:
        return self.unready
