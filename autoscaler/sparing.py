"""Whether a service may be put to sleep before its time, because others need its room, and how.

Pure. Only what would go to sleep by itself in a while may be hurried: no request, nothing measured,
no lease, nobody who needs it, no hand of the operator, no `min`, and an `idle.stop_after`.
"""

from dataclasses import replace

from autoscaler.decision import Counts, Decision
from autoscaler.policy import Policy


def idle_since(policy: Policy, now: float) -> float | None:
    """When it was in use last (loop time); None while it must stay."""
    up = policy.replicas > 0 and not policy.frozen
    if not policy.replicas or policy.override or policy.least or policy.decider.stop_after is None:
        return None
    use = policy.use
    if policy.is_needed or use.is_on(up=up, now=now):
        return None
    if now < use.held_until(there=True):
        return None
    return use.last_of_all(there=True, up=up, now=now)


def put_to_sleep(policy: Policy, why: str, counts: Counts, now: float) -> Decision | None:
    """As if it had been idle for long enough; None when it must stay."""
    if idle_since(policy, now) is None:
        return None
    policy.use.forget()
    return replace(policy.decide(counts, now), reason=why)
