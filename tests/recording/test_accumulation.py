"""Nothing that is counted is lost or doubled, however it is cut into seconds and batches."""

import math
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.buckets import Sparse
from cluster.messages import LoadReport, Recorded
from recording.accumulation import SETTLED, Accumulation
from recording.rows import Batch, Start
from recording.seconds import HISTOGRAMS, LONGEST, MICRO, Second, divided
from recording.spans import Span, Spans, level
from tests.recording.reports import NOON, report, reports

SUMS = ("requests", "rejected", "failures", "busy", "request_bytes", "answer_bytes")


def told(all_reports: Iterable[LoadReport]) -> Counter[tuple[str, str]]:
    """By service and name, histograms by the number in them."""
    total: Counter[tuple[str, str]] = Counter()
    for one in all_reports:
        recorded = one.recorded or Recorded()
        total[one.service, "requests"] += one.requests
        total[one.service, "rejected"] += one.rejected
        total[one.service, "busy"] += round(one.busy_seconds * MICRO)
        for name in ("failures", "request_bytes", "answer_bytes"):
            total[one.service, name] += getattr(recorded, name)
        for name in HISTOGRAMS:
            counts: Sparse = getattr(one if hasattr(one, name) else recorded, name)
            total[one.service, name] += sum(count for _, count in counts)
    return +total


def kept(rows: Iterable[tuple[str, Second | Span]]) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for service, one in rows:
        for name in SUMS:
            total[service, name] += getattr(one, name)
        for name, counts in one.histograms.items():
            total[service, name] += sum(counts.values())
    return +total


@given(st.integers(0, 10**9), st.floats(0, 1e9), st.floats(0, 3000))
def test_a_count_is_divided_without_a_rest(count: int, begin: float, span: float) -> None:
    parts = list(divided(count, begin, begin + span))
    assert sum(part for _, part in parts) == count
    assert all(part >= 0 for _, part in parts)
    assert len(parts) <= LONGEST + 2
    assert [second for second, _ in parts] == sorted({second for second, _ in parts})
    assert all(begin - 1 < second <= begin + span for second, _ in parts)


@pytest.mark.parametrize(
    ("count", "begin", "end", "parts"),
    [
        (10, 5.0, 6.0, [(5, 10)]),
        (10, 5.5, 6.5, [(5, 5), (6, 5)]),
        (4, 5.75, 6.75, [(5, 1), (6, 3)]),
        (3, 7.2, 7.2, [(7, 3)]),
        (1, 7.9, 8.9, [(7, 0), (8, 1)]),
        (6, 0.5, 3.5, [(0, 1), (1, 2), (2, 2), (3, 1)]),
        (120, 0.0, 3600.0, [(second, 2) for second in range(3540, 3600)]),
    ],
)
def test_how_a_count_is_divided(
    count: int, begin: float, end: float, parts: list[tuple[int, int]]
) -> None:
    assert list(divided(count, begin, end)) == parts


@given(st.lists(reports(), max_size=12), st.lists(st.floats(0, 400), max_size=5))
def test_batches_have_what_was_reported_once(given: list[LoadReport], takes: list[float]) -> None:
    present, batch = Accumulation(), Batch()
    for index, one in enumerate(given):
        present.add(one, one.at, 2)
        if index < len(takes):
            batch.extend(present.take(NOON + takes[index]))
    batch.extend(present.take(0.0, everything=True))
    assert present.is_empty
    assert kept((service, second) for _, service, second in batch.seconds) == told(given)


@given(st.lists(reports(), max_size=12), st.lists(st.floats(0, 400), max_size=5))
def test_minutes_have_what_seconds_had_once(given: list[LoadReport], moments: list[float]) -> None:
    present, spans = Accumulation(), Spans()
    for one in given:
        present.add(one, one.at, 2)
    batch = present.take(0.0, everything=True)
    half = len(batch.seconds) // 2
    written: list[tuple[str, Second | Span]] = []
    for part in (batch.seconds[:half], batch.seconds[half:]):
        spans.fold(part)
        for now in [*(NOON + moment for moment in moments), math.inf]:
            ended = spans.ended(now)
            written += [(service, span) for (_, service, _), span in ended.items()]
            spans.written(ended)
    assert spans.is_empty
    assert kept(written) == told(given)


def test_a_second_waits_for_the_reports_of_all_gateways() -> None:
    present = Accumulation()
    present.add(report(NOON + 1, requests=2, source="gateway-0"), NOON + 1, 1)
    assert not present.take(NOON + 1 + SETTLED - 0.01)
    present.add(report(NOON + 1, requests=3, source="gateway-1"), NOON + 1, 1)
    ((at, service, second),) = present.take(NOON + 1 + SETTLED).seconds
    assert (at, service, second.requests, second.replicas) == (NOON, "web", 5, 1)


def test_silence_is_not_recorded() -> None:
    present = Accumulation()
    present.add(report(NOON), NOON, 1)
    assert present.is_empty


def test_of_a_minute_the_largest_replica_is_kept() -> None:
    present = Accumulation()
    for at, size in ((NOON + 1, 50), (NOON + 2, 70), (NOON + 3, 60), (NOON + 61, 40)):
        present.used("web", at, size)
    assert [one.largest for one in present.take(NOON).memory] == [70, 40]
    assert present.is_empty


@pytest.mark.parametrize(
    ("in_flight", "replicas", "expected"),
    [
        (0.0, 1, 0), (0.3, 1, 0), (1.0, 1, 0), (1.01, 1, 1), (2.0, 1, 1), (2.1, 1, 2), (4.0, 1, 2),
        (5.0, 1, 3), (8.0, 4, 1), (4.0, 4, 0), (100.0, 1, 7), (3.0, 0, 2),
    ],
)  # fmt: skip
def test_levels_are_powers_of_two_for_each_replica(
    in_flight: float, replicas: int, expected: int
) -> None:
    assert level(in_flight, replicas) == expected


def test_who_waits_is_not_at_work() -> None:
    """In flight and queued are told together; a queue is no concurrency of a replica."""
    present = Accumulation()
    present.add(report(NOON + 1, busy_seconds=9.0, in_flight=1, queued=8), NOON + 1, 1)
    ((_, _, second),) = present.take(NOON + 9).seconds
    assert (second.busy, second.in_flight) == (9 * MICRO, 1 * MICRO)


def test_minutes_that_cannot_be_written_are_given_up_in_the_end() -> None:
    spans = Spans()
    spans.fold([(int(NOON) + at, "web", Second(requests=1)) for at in (0, 1, 700)])
    assert spans.shed(NOON + 600) == 0
    assert spans.shed(NOON + 720) == 2
    assert [key[0] for key in spans.ended(math.inf)] == [NOON + 660]


def test_of_too_much_the_newest_is_kept() -> None:
    batch = Batch([(at, "web", Second()) for at in range(5)], [Start(1.0, "web", 1.0, "ready")] * 2)
    assert batch.shed(3) == 2
    assert [at for at, _, _ in batch.seconds] == [2, 3, 4]
    assert len(batch.starts) == 2
