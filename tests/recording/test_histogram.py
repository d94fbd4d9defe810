"""Histograms come back as they were stored, and take little room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recording.histogram import add, packed, unpacked

COUNTS = st.dictionaries(st.integers(0, 400), st.integers(1, 2**40), max_size=60)


@given(COUNTS)
def test_what_is_packed_is_unpacked_the_same(counts: dict[int, int]) -> None:
    assert unpacked(packed(counts)) == counts


@given(COUNTS, COUNTS)
def test_adding_loses_nothing(one: dict[int, int], other: dict[int, int]) -> None:
    both = dict(one)
    add(both, other)
    assert both == {key: one.get(key, 0) + other.get(key, 0) for key in one | other}
    sparse = dict(one)
    add(sparse, tuple(other.items()))
    assert sparse == both


def test_small_counts_near_to_each_other_take_two_bytes_each() -> None:
    assert len(packed({100: 7, 101: 90, 103: 1})) == 6


@pytest.mark.parametrize("data", [b"\x80", b"\x01", b"\x01\x02\x03", b"\x01\x82"])
def test_what_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="in the middle"):
        unpacked(data)
