"""When memory is short, and when no longer.

Sources: the overload manager of Envoy acts at a share of its heap, above what it needs at rest; a
trigger that ends where it begins makes it flap.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.shedding import BACK, LEAST, PART, Facts, pause, sheds

LIMIT = 1000
SHARE = 0.8


@pytest.mark.parametrize(
    ("used", "grown", "shed_for", "expected"),
    [
        (799, 500, None, False),
        (800, 500, None, True),
        (800, 100, None, True),
        (800, 99, None, False),  # others need it: nothing would be gained
        (2000, 0, None, False),
        (800, -50, None, False),
        (0, 0, 0.5, True),  # who was refused is still away
        (750, 500, LEAST, True),
        (749, 500, LEAST, False),
        (990, 50, LEAST, True),
        (990, 49, LEAST, False),
    ],
)
def test_table(used: int, grown: int, shed_for: float | None, expected: bool) -> None:
    assert sheds(Facts(LIMIT, used, grown), SHARE, shed_for) is expected


facts = st.builds(Facts, st.just(LIMIT), st.integers(0, 2 * LIMIT), st.integers(-LIMIT, 2 * LIMIT))


@given(facts, st.floats(0.2, 1.0))
def test_what_begins_it_also_keeps_it(seen: Facts, share: float) -> None:
    if sheds(seen, share, None):
        assert sheds(seen, share, 100.0)


@given(facts, st.floats(0.2, 1.0))
def test_the_next_look_comes_before_it_can_begin(seen: Facts, share: float) -> None:
    """At 256 MiB a second, but never more often than each 20 ms."""
    mib = Facts(seen.limit * 2**20, seen.used * 2**20, seen.grown * 2**20)
    seconds = pause(mib, share)
    assert 0.02 <= seconds <= 0.25
    if seconds > 0.02:
        more = int(seconds * 256 * 2**20) - 2
        assert not sheds(Facts(mib.limit, mib.used + more, mib.grown + more), share, None)


def test_figures_are_told() -> None:
    told = str(Facts(512 * 2**20, 420 * 2**20, 130 * 2**20))
    assert told == "420MiB of 512MiB are used, about 130MiB of it for clients"
    assert BACK < PART
