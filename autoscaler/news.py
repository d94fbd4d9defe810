"""What the operator hears of a change of what is wanted: one event for each, with its reason.

Pure. Another reason alone is no change.
"""

from cluster.model import Desired, Mode

UP, DOWN, KEEP, FREEZE, THAW = DIRECTIONS = ("up", "down", "keep", "freeze", "thaw")
_TOLD = frozenset({Mode.PANIC, Mode.MANUAL})  # entering and leaving them is worth an event


def direction(former: Desired, wanted: Desired) -> str:
    if former.replicas != wanted.replicas:
        return UP if wanted.replicas > former.replicas else DOWN
    if former.frozen != wanted.frozen:
        return FREEZE if wanted.frozen else THAW
    return KEEP


def news(former: Desired, wanted: Desired) -> tuple[str, str] | None:
    """The kind of the event and its text; None: nothing that is wanted has changed."""
    match direction(former, wanted):
        case "up" | "down":
            number = f"{former.replicas} → {wanted.replicas} replicas"
            return "scaled", f"{number}: {wanted.reason}"
        case "freeze":
            return "frozen", f"frozen: {wanted.reason}"
        case "thaw":
            return "thawed", wanted.reason
    return _of_the_same_number(former, wanted)


def _of_the_same_number(former: Desired, wanted: Desired) -> tuple[str, str] | None:
    still = f"still {count_of(wanted.replicas)}: {wanted.reason}"
    if wanted.refusal and not former.refusal:
        return "closed", f"closed, {still}"
    if former.refusal and not wanted.refusal:
        return "opened", f"open again, {still}"
    if former.mode is not wanted.mode and {former.mode, wanted.mode} & _TOLD:
        return "mode", f"{former.mode} → {wanted.mode} mode, {still}"
    return None


def count_of(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"
