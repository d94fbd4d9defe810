"""Whatever sources say and however long they are silent: laws of a policy that hears of them."""

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decision import Counts
from autoscaler.policy import Policy
from autoscaler.standing import Reading, Standing, gauge_of, heard, reading_of
from config.rules import JsonRule
from config.scaling import Idle, Scaling

EVERY = 5.0
STEP = 1.0  # between decisions; all that the policy asks for are among them
# A value, a failure, or a turn in which nobody asked.
ANSWERS = st.lists(st.floats(0, 500) | st.none() | st.just("nobody"), min_size=1, max_size=40)


def rule(activation: float) -> JsonRule:
    facts = {"metric": "json", "url": "http://a", "value": "n", "target": 10.0, "every": EVERY}
    return JsonRule.model_validate({**facts, "activation": activation})


@given(answers=ANSWERS, activation=st.floats(0, 20), freeze=st.none() | st.floats(1, 20))
def test_missing_data_takes_nothing_down_and_wakes_nothing(
    answers: list[float | str | None], activation: float, freeze: float | None
) -> None:
    one = rule(activation)
    idle = Idle(freeze_after=freeze, stop_after=30.0)
    scaling = Scaling(max=20, rules=(one,), stable_window=2.0, panic_window=1.0, idle=idle)
    policy, standing, now = Policy(scaling), None, 0.0
    for answer in answers:
        standing = _answered(policy, one, standing, answer, now)
        for _ in range(round(EVERY / STEP)):
            before, was_frozen = policy.replicas, policy.frozen
            gauge = policy.observe(Counts(before), now).gauges.get(one)
            decision = policy.decide(Counts(before), now)
            assert 0 <= decision.replicas <= 20
            assert decision.reason
            if gauge is None or gauge.value is None:
                if not was_frozen:
                    assert decision.replicas >= before
                    assert not decision.frozen
                if before == 0:
                    assert decision.replicas == 0
            elif gauge.value > activation:
                assert decision.replicas >= 1
                assert not decision.frozen
            now += STEP


def _answered(
    policy: Policy,
    one: JsonRule,
    former: Standing | None,
    answer: float | str | None,
    now: float,
) -> Standing | None:
    if isinstance(answer, str):
        return former
    reading = Reading(None, now, "away") if answer is None else reading_of(answer, now)
    standing = heard(former, reading)
    policy.measured(one, gauge_of(standing, one, EVERY), now)
    return standing
