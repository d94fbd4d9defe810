"""A measured histogram as a distribution."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.buckets import EDGES
from simulation.bucketed import Bucketed


@given(st.dictionaries(st.integers(0, len(EDGES)), st.integers(0, 50), min_size=1), st.integers())
def test_only_times_of_buckets_that_were_hit(counts: dict[int, int], seed: int) -> None:
    if not any(counts.values()):
        with pytest.raises(ValueError, match="nothing was measured"):
            Bucketed(counts)
        return
    took = Bucketed(counts).draw(random.Random(seed))
    assert any(
        (EDGES[index - 1] if index else 0.0) <= took <= EDGES[min(index, len(EDGES) - 1)]
        for index, count in counts.items()
        if count
    )


def test_as_often_as_measured_and_as_long_on_average() -> None:
    rng, made = random.Random(1), Bucketed({30: 900, 60: 100})
    drawn = [made.draw(rng) for _ in range(20_000)]
    assert sum(took > EDGES[40] for took in drawn) / len(drawn) == pytest.approx(0.1, abs=0.01)
    assert sum(drawn) / len(drawn) == pytest.approx(made.mean, rel=0.05)
