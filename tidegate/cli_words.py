"""How the command line puts things: states, decisions and times in words.

Pure: takes what the API answers and `now`, gives text. Nothing that a replica or a file says can
steer the terminal: control characters are shown, not obeyed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from config.printable import printable

Json = Mapping[str, Any]

_ROLLING = {
    "progressing": "rolling out",
    "restarting": "restarting",
    "rolling-back": "rolling back",
    "failed": "degraded",
}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def clean(text: object) -> str:
    """One line without control characters."""
    return printable(" ".join(str(text).splitlines()))


def span(seconds: float) -> str:
    """The two largest units: 75 -> 1m15s."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f}ms" if seconds > 0 else "0s"
    left = round(seconds)
    parts: list[str] = []
    for length, unit in _UNITS:
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2])


def age(at: str | None, now: datetime) -> str:
    """How long ago a time of the API was."""
    if at is None:
        return ""
    seconds = (now - datetime.fromisoformat(at)).total_seconds()
    return span(seconds) if seconds >= 1 else "now"


def ago(at: str, now: datetime) -> str:
    passed = age(at, now)
    return "just now" if passed == "now" else f"{passed} ago"


def state_of(service: Json) -> str:
    """One word for a service: what a client would meet."""
    ready, desired = service["ready"], service["desired"]
    states = {replica["state"] for replica in service["replicas"]}
    if ready:
        rolling = _ROLLING.get((service.get("rollout") or {}).get("phase", ""))
        return rolling or _state_when_serving(ready, desired, states)
    for state in ("starting", "frozen"):
        if state in states:
            return state
    if service["trouble"] and not _is_old_news(service):
        return "failing"
    if "unhealthy" in states:
        return "unhealthy"
    if service.get("completed"):
        return "completed"
    if desired:
        return "waiting"
    return "stopping" if "draining" in states else "asleep"


def _state_when_serving(ready: int, desired: int, states: set[str]) -> str:
    if states & {"unhealthy", "failed"}:
        return "degraded"
    if ready < desired:
        return "scaling up"
    return "scaling down" if "draining" in states else "ready"


def _is_old_news(service: Json) -> bool:
    """A rollout that failed and was rolled back: what serves instead is fine."""
    phase = (service.get("rollout") or {}).get("phase")
    return phase in ("rolled-back", "rolling-back", "paused")


def rollout_of(service: Json) -> str:
    """How its replicas are being replaced, or why the file's revision is not run; else empty."""
    rollout = service.get("rollout")
    if not rollout:
        return ""
    if rollout["phase"] in ("rolled-back", "paused"):
        what = f"{rollout['revision']} is run instead of the file's {rollout['filed']}"
        return clean(f"{rollout['phase']}: {what} ({rollout['reason']})")
    step = f"{rollout['available']} new for long enough, {rollout['old']} old left"
    return clean(f"{rollout['phase']}: {rollout['former']} → {rollout['revision']}, {step}")


def decision_of(service: Json, now: datetime) -> str:
    """Its trouble if it has any, else its last decision."""
    if trouble := service["trouble"]:
        wait = trouble["retry_after"]
        again = f" (next try in {span(wait)})" if wait else ""
        return clean(f"{trouble['code']}: {trouble['message']}") + again
    decision = service["last_decision"]
    return decision_in_words(decision, now) if decision else ""


def decision_in_words(decision: Json, now: datetime) -> str:
    before, replicas = decision.get("before"), decision.get("replicas")
    step = f"still {replicas}" if before in (None, replicas) else f"{before} → {replicas}"
    return clean(f"{step}, {ago(decision['at'], now)}: {decision.get('reason', '')}")


def reload_in_words(result: Json) -> list[str]:
    lines = [
        f"{what}: {', '.join(map(clean, result[what]))}"
        for what in ("added", "changed", "removed")
        if result[what]
    ]
    if result["restart_needed"]:
        names = ", ".join(map(clean, result["restart_needed"]))
        lines.append(f"restart Tidegate to apply: {names}")
    warnings = map(clean, result.get("warnings", ()))
    return ["reloaded" if lines else "reloaded: nothing changed", *lines, *warnings]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def moment_in_words(at: str) -> str:
    """Date and time of the API in the time zone of the reader."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock(at: str | None) -> str:
    """A time of the API in the time zone of the reader."""
    return "" if at is None else datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S")
