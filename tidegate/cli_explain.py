"""`tidegate explain`: a scaling decision as a short story.

Pure. What was seen, what each rule wished, what limited it, what came out, what comes next.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from tidegate.cli_words import Json, ago, clean, clock, count, moment_in_words, span

OURS = "tidegate"
_SAME = 2.0  # seconds
_STEADY = ("ready", "starting", "frozen")


def story(explanation: Json, now: datetime) -> list[str]:
    """Lines for the operator."""
    return [
        *_headline(explanation, now),
        *_section("Seen", _seen(explanation.get("inputs") or {}, _windows(explanation))),
        *_section("Wishes", _wishes(explanation.get("rules") or ())),
        *_section("Limits", _limits(explanation.get("limits") or ())),
        *_section("Learned", _learned(explanation)),
        *_section("Came of it", _result(explanation)),
        *_section("Next", _next(explanation)),
    ]


def past_story(service: str, decision: Json, now: datetime) -> list[str]:
    """A decision of the API as a story: the same, but nothing comes next."""
    rules = [{**wish, "wish": wish["replicas"]} for wish in decision.get("wishes") or ()]
    return story({**decision, "service": service, "rules": rules, "outcome": decision}, now)


def _headline(explanation: Json, now: datetime) -> Iterator[str]:
    outcome = explanation.get("outcome") or {}
    replicas = count(outcome.get("replicas", 0), "replica")
    asleep = ", frozen" if outcome.get("frozen") else ""
    when = f", decided {ago(explanation['at'], now)}" if explanation.get("at") else ""
    yield f"{explanation['service']}: {replicas}{asleep} ({outcome.get('mode', '?')} mode{when})"
    yield f"  because {clean(outcome.get('reason') or 'nothing was decided yet')}"
    if "until" in explanation:
        yield f"  {_in_force(explanation, now)}"
    if (policy := explanation.get("policy", OURS)) != OURS:
        yield f"  as scaling.policy {clean(policy)} decides"
    if trouble := explanation.get("trouble"):
        yield f"  but {clean(trouble['code'])}: {clean(trouble['message'])}"


def _in_force(decision: Json, now: datetime) -> str:
    """From when to when, by the clock of the reader, and how long."""
    begin, end = decision.get("since") or decision["at"], decision["until"]
    ended = now if end is None else datetime.fromisoformat(end)
    lasted = span((ended - datetime.fromisoformat(begin)).total_seconds())
    if end is None:
        return f"in force since {_when(begin, now)}, for {lasted} until now"
    return f"in force from {_when(begin, now)} until {_when(end, now)}, for {lasted}"


def _when(at: str, now: datetime) -> str:
    """With its day, unless that is today."""
    is_today = datetime.fromisoformat(at).astimezone().date() == now.astimezone().date()
    return clock(at) if is_today else moment_in_words(at)


def _windows(explanation: Json) -> dict[str, str]:
    """What the means are called. Only ours and Knative's windows have names."""
    if explanation.get("policy", OURS) in (OURS, "kpa"):
        return {"stable": "stable window", "panic": "panic window"}
    windows = explanation.get("windows") or {}
    named = {name: f"over {span(seconds)}" for name, seconds in windows.items()}
    if named.get("panic") == named.get("stable"):
        named.pop("panic", None)
    return named


def _seen(inputs: Json, windows: dict[str, str]) -> Iterator[str]:
    if any(name in inputs for name in _STEADY):
        replicas = ", ".join(f"{inputs[name]} {name}" for name in _STEADY if inputs.get(name))
        yield f"replicas: {replicas or 'none'}"
    if "in_flight" in inputs:
        yield f"now: {inputs['in_flight']} in flight, {inputs.get('queued', 0)} queued"
    for window in ("stable", "panic"):
        if window in windows and f"{window}_concurrency" in inputs:
            yield (
                f"{windows[window]}: {inputs[f'{window}_concurrency']:g} at a time, "
                f"{inputs.get(f'{window}_rps', 0):g} requests a second"
            )
    told = {"in_flight", "queued", *_STEADY}
    for name, value in inputs.items():
        if name not in told and not name.startswith(("stable_", "panic_")):
            yield clean(f"{name.replace('_', ' ')}: {value}")


def _wishes(rules: Sequence[Json]) -> Iterator[str]:
    # Of equal wishes the first one wins.
    largest = max(rules, key=lambda rule: int(rule.get("wish", 0)), default=None)
    for rule in rules:
        wins = rule is largest and len(rules) > 1 and rule.get("wish")
        mark = "  <- the largest" if wins else ""
        name, reason = str(rule.get("rule")), str(rule.get("reason", ""))
        told = reason if reason.startswith(name) else f"{name}: {rule.get('wish')}, {reason}"
        yield clean(told) + mark


def _limits(limits: Sequence[Json]) -> Iterator[str]:
    for limit in limits:
        step = f"{limit.get('before')} → {limit.get('after')}"
        name, reason = str(limit.get("limit")), str(limit.get("reason", ""))
        told = f"{step}: {reason}" if reason.startswith(name) else f"{name}: {step}, {reason}"
        yield clean(told)


def _learned(explanation: Json) -> Iterator[str]:
    """Of its silences, for learned sleep."""
    sleep = explanation.get("sleep") or {}
    if "habit" not in sleep:
        return
    yield clean(sleep["habit"])
    chance, worth = f"{sleep['chance_now']:.2%}", f"{sleep['worth_from']:.2%}"
    yield f"the chance of a call just now is {chance}, worth staying awake for from {worth}"
    if sleep.get("kept_to_the_timeout"):
        yield "the plain timeout decides: learned sleep has cost as much more as it may"


def _result(explanation: Json) -> Iterator[str]:
    if result := explanation.get("result"):
        yield clean(result["says"])


def _next(explanation: Json) -> Iterator[str]:
    if manual := explanation.get("manual"):
        ends = manual.get("ends_in")
        until = "until `scale auto`" if ends is None else f"for {span(ends)} more"
        yield f"{count(manual['replicas'], 'replica')} by hand, {until}"
    if (panic := explanation.get("panic_ends_in")) is not None:
        yield f"panic ends in {span(panic)} if the load stays as it is"
    if (step := explanation.get("next_step_down_in")) is not None:
        yield f"the next step down comes in {span(step)} if no request comes"
    if (change := explanation.get("next_change_in")) is not None:
        wake = (explanation.get("sleep") or {}).get("next_wake_in")
        is_wake = wake is not None and abs(wake - change) < _SAME
        what = "it is woken, before a call," if is_wake else "a schedule begins or ends"
        yield f"{what} in {span(change)}"
    if (idle := explanation.get("idle_seconds")) is not None:
        yield f"the last activity was {span(idle)} ago"


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield title
        yield from (f"  {line}" for line in found)
