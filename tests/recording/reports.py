"""Reports of gateways on recorded services, at random."""

from typing import Any

from hypothesis import strategies as st

from cluster.messages import LoadReport, Recorded

NOON = 1_763_812_800.0  # 2025-11-22T12:00:00Z

_SPARSE = st.dictionaries(st.integers(0, 120), st.integers(1, 50), max_size=4).map(
    lambda counts: tuple(sorted(counts.items()))
)


def report(at: float, **facts: Any) -> LoadReport:
    given: dict[str, Any] = {
        "service": "web", "at": at, "span": 1.0, "busy_seconds": 0.0, "requests": 0,
        "rejected": 0, "in_flight": 0, "queued": 0, "recorded": Recorded(),
    }  # fmt: skip
    return LoadReport(**(given | facts))


@st.composite
def reports(draw: st.DrawFn) -> LoadReport:
    """Of two services and three gateways, within some minutes; each busy."""
    return report(
        NOON + draw(st.floats(0, 200)),
        service=draw(st.sampled_from(["web", "api"])),
        source=draw(st.sampled_from(["gateway-0", "gateway-1", "gateway-2"])),
        span=draw(st.sampled_from([0.0, 0.3, 1.0, 1.24, 7.0, 500.0])),
        busy_seconds=draw(st.floats(0, 1000)),
        requests=draw(st.integers(1, 5000)),
        rejected=draw(st.integers(0, 10)),
        queued=draw(st.integers(0, 3)),
        latencies=draw(_SPARSE),
        service_times=draw(_SPARSE),
        waits=draw(_SPARSE),
        recorded=Recorded(
            draw(st.integers(0, 9)),
            draw(_SPARSE),
            draw(_SPARSE),
            draw(_SPARSE),
            draw(st.integers(0, 2**40)),
            draw(st.integers(0, 2**40)),
            draw(_SPARSE),
        ),
    )
