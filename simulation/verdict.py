"""Whether rules that were chosen on one part of the traffic are better on a part they never saw.

Pure.
"""

from dataclasses import dataclass

from simulation.objective import Measures, Objective, in_words

MATTERS = 0.01  # of what is to be least; less than that is not worth a change


@dataclass(frozen=True, slots=True)
class Verdict:
    is_better: bool
    says: str


def verdict(objective: Objective, present: Measures, chosen: Measures) -> Verdict:
    """Both as measured on the part that was held out."""
    is_better, says = _judged(objective, present, chosen)
    return Verdict(is_better, f"on the held-out part {says}")


def _judged(objective: Objective, present: Measures, chosen: Measures) -> tuple[bool, str]:
    missed, missed_now = objective.missed(chosen, present), objective.missed(present, present)
    here, there = _missed(objective, chosen, present), _missed(objective, present, present)
    if missed and not missed_now:
        return False, f"what was chosen misses {here}"
    if missed and missed >= missed_now * (1 - MATTERS):
        return False, f"what was chosen misses {here}, and is no nearer than the present rules"
    if missed:
        return True, f"it misses {here}, but the present rules do more so: {there}"
    if missed_now:
        return True, f"it meets all limits, while the present rules miss {there}"
    gain, least = _gain(objective, present, chosen), objective.least
    if gain < MATTERS:
        change = "no less" if gain <= 0 else f"only {gain:.1%} less"
        return False, f"{least} of what was chosen is {change} than that of the present rules"
    return True, f"{least} is {gain:.1%} less than with the present rules"


def _gain(objective: Objective, present: Measures, chosen: Measures) -> float:
    before, after = present[objective.least], chosen[objective.least]
    return 1 - after / before if before else -float(after > 0)


def _missed(objective: Objective, measures: Measures, present: Measures) -> str:
    return " and ".join(
        f"{limit} ({in_words(limit.metric, _short(measures[limit.metric]))})"
        for limit in objective.limits
        if limit.excess(measures[limit.metric], present[limit.metric])
    )


def _short(value: float) -> float:
    """Three digits."""
    return float(f"{value:.3g}")
