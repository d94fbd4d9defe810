"""When nothing is left to decide about a service but by a fact or by the ladder: no tick is needed.

Pure.
"""

import math

from autoscaler.behaviour import Behaviour
from autoscaler.decider import configured
from autoscaler.decision import Decision
from autoscaler.load import Load
from cluster.model import Mode
from config.scaling import Scaling


def is_settled(decision: Decision, scaling: Scaling, decider: Behaviour, load: Load) -> bool:
    """No tick could decide anything else."""
    if decision.mode in (Mode.MANUAL, Mode.IDLE) and not decision.frozen:
        return True
    seen = decision.inputs
    silent = not (seen.stable.concurrency or seen.stable.rps)
    quiet = not (seen.in_flight or seen.queued) and (silent or _only_falls(decision, scaling))
    # What was measured elsewhere may ask for more than what a wake begins with.
    if seen.gauges:
        quiet = quiet and all(wish.replicas <= decision.replicas for wish in decision.wishes)
    bounds = seen.bounds or configured(scaling)
    lowest = min(max(1, bounds.least, scaling.activation), bounds.most)
    calm = not decider.is_in_panic and not load.is_busy(decision.at)
    return quiet and calm and decision.replicas <= lowest and _knows_its_end(scaling, decider)


def _only_falls(decision: Decision, scaling: Scaling) -> bool:
    """No wish is for more than there is, and without news the means sink. Others than ours may wish
    for more only because time has passed (a delay upwards)."""
    return scaling.policy == "tidegate" and all(
        wish.is_load and wish.replicas <= decision.replicas for wish in decision.wishes
    )


def _knows_its_end(scaling: Scaling, decider: Behaviour) -> bool:
    """When zero comes, or that it never does."""
    stays = scaling.min > 0 or scaling.idle.stop_after is None
    return stays or decider.stop_after is not None or decider.steps_down_at < math.inf
