"""What a replica bears: a bracket that evidence narrows, and contradiction widens."""

import math

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.learned import NARROW, Learned

rates = st.floats(0.1, 1000)


def test_evidence_narrows_it() -> None:
    learned = Learned().within(20.0, 0.05).beyond(80.0)
    assert (learned.good, learned.bad) == (20.0, 80.0)
    assert learned.at_once(learned.good) == 1.0
    assert learned.to_be_tried == 40.0
    assert learned.within(40.0, 0.05).beyond(60.0).to_be_tried == math.sqrt(40 * 60)


def test_a_narrow_one_is_held() -> None:
    learned = Learned(50.0, 50.0 * NARROW, 0.05)
    assert learned.to_be_tried == 50.0


def test_what_was_never_too_much_is_doubled() -> None:
    assert Learned().within(30.0, 0.05).to_be_tried == 60.0


def test_what_was_borne_and_is_no_more_is_forgotten() -> None:
    learned = Learned(50.0, 90.0, 0.05).beyond(48.0)
    assert (learned.good, learned.bad) == (0.0, 48.0)


def test_what_was_too_much_and_is_no_more_is_forgotten() -> None:
    assert Learned(50.0, 90.0, 0.05).within(95.0, 0.05).bad > 95.0


def test_doubt_widens_it() -> None:
    assert Learned(50.0, 52.0, 0.05).doubting().to_be_tried > 55.0


def test_the_pace_is_that_without_a_queue() -> None:
    assert Learned().within(20.0, 0.05).within(60.0, 0.2).pace == 0.05
    assert Learned().within(60.0, 0.2).within(20.0, 0.05).pace == 0.05


@given(st.lists(st.tuples(st.booleans(), rates), max_size=30))
def test_good_is_always_below_bad(evidence: list[tuple[bool, float]]) -> None:
    learned = Learned()
    for fine, rate in evidence:
        learned = learned.within(rate, 0.05) if fine else learned.beyond(rate)
        assert learned.good < learned.bad
        assert learned.good <= learned.to_be_tried <= learned.bad
