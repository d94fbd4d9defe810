"""Why a service has as many replicas as it has, as a plain structure for people and programs.

Pure. It decides on a copy: asking for an explanation changes nothing.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict

from autoscaler.decision import Counts, Decision, inputs_of
from autoscaler.policy import Policy
from autoscaler.rules import Wish
from cluster.model import Desired


def explain_awake(policy: Policy, counts: Counts, now: float) -> dict[str, object]:
    """What would be decided now, from what, and what will happen if nothing comes."""
    decision = copy.deepcopy(policy).decide(counts, now)
    seen = decision.inputs
    return {
        "policy": policy.scaling.policy,
        "windows": {"stable": seen.stable.window, "panic": seen.panic.window},
        "inputs": inputs_of(seen),
        "rules": [_rule(wish) for wish in decision.wishes],
        "limits": [asdict(limit) for limit in decision.limits],
        "outcome": _outcome(decision),
        "manual": _manual(policy, now),
        "panic_ends_in": _left(policy.decider.panic_until, now),
        "idle_seconds": _since(policy.load.last_activity, now),
        "next_step_down_in": _left(policy.next_step_down(now), now),
        "next_change_in": _left(policy.next_change(now), now),
    }


def explain_asleep(
    desired: Desired,
    why: str = "",
    next_change_in: float = math.inf,
    wishes: Sequence[Wish] = (),
) -> dict[str, object]:
    """A service that costs nothing has nothing but its last reason, perhaps a schedule, and what
    others measure."""
    return {
        "inputs": {},
        "rules": [_rule(wish) for wish in wishes],
        "limits": [],
        "outcome": {
            "replicas": desired.replicas,
            "frozen": desired.frozen,
            "mode": desired.mode.value,
            "reason": why or desired.reason,
        },
        "next_change_in": round(next_change_in, 3) if next_change_in < math.inf else None,
    }


def _rule(wish: Wish) -> dict[str, object]:
    return {
        "rule": wish.rule,
        "wish": wish.replicas,
        "reason": wish.reason,
        "window": wish.window,
        "measured": wish.measured,
        "target": wish.target,
    }


def _outcome(decision: Decision) -> dict[str, object]:
    return {
        "replicas": decision.replicas,
        "frozen": decision.frozen,
        "mode": decision.mode.value,
        "reason": decision.reason,
    }


def _manual(policy: Policy, now: float) -> dict[str, object] | None:
    if policy.override is None:
        return None
    return {
        "replicas": policy.override.replicas,
        "ends_in": _left(policy.override.until, now),
    }


def _left(moment: float | None, now: float) -> float | None:
    """Seconds until then; None: never."""
    return None if moment is None or moment == math.inf else round(max(0.0, moment - now), 3)


def _since(moment: float, now: float) -> float | None:
    return None if moment == -math.inf else round(max(0.0, now - moment), 3)
