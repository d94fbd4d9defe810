"""A simulation runs what production runs: what is known of Tidegate must come out of it."""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from config.service import Resources
from config.settings import Host
from simulation.assumptions import Assumptions, Cores
from simulation.distributions import Constant
from simulation.run import Story, Unknown, simulate
from tests.simulation.stories import lived, settings, traffic

ONE_AT_A_TIME = {"concurrency": 1, "scaling": {"max": 1}}


def test_one_request_wakes_waits_for_the_start_and_is_served() -> None:
    outcome = lived(traffic((10.0, 0.2, 0)))
    assert outcome.statuses == {200: 1}
    assert (outcome.cold_starts, outcome.starts) == (1, 1)
    assert outcome.wait.max == pytest.approx(1.0, abs=0.06)  # a start, and the pause of a probe
    # Until `idle.stop_after` (60s) after its end, known at the next report.
    assert outcome.replica_seconds == pytest.approx(61.2, abs=1.5)


def test_a_service_that_stays_awake_delays_nobody_but_the_first() -> None:
    outcome = lived(traffic(*((10.0 + 20 * each, 0.1, 0) for each in range(20))))
    assert outcome.cold_starts == 1
    assert outcome.wait.p50 == 0.0
    assert outcome.wait.delayed == pytest.approx(1 / 20)


def test_one_that_fell_asleep_is_woken_again() -> None:
    outcome = lived(traffic((10.0, 0.1, 0), (200.0, 0.1, 0)))
    assert outcome.cold_starts == 2
    assert outcome.wait.p50 > 0.9


def test_a_hard_limit_makes_requests_wait_for_each_other() -> None:
    at_once = tuple((10.0, 1.0, 0) for _ in range(4))
    outcome = lived(traffic(*at_once), ONE_AT_A_TIME)
    assert sorted(round(wait) for wait in outcome.waits) == [1, 2, 3, 4]


def test_who_waits_longer_than_the_queue_allows_is_refused() -> None:
    spec = {**ONE_AT_A_TIME, "queue": {"timeout": "2s"}}
    outcome = lived(traffic(*((10.0, 5.0, 0) for _ in range(3))), spec)
    assert outcome.statuses == {200: 1, 503: 2}
    assert outcome.failed == 2


def test_a_full_queue_refuses_at_once() -> None:
    spec = {**ONE_AT_A_TIME, "queue": {"size": 1}}
    outcome = lived(traffic(*((10.0, 0.1, 0) for _ in range(3))), spec)
    assert outcome.statuses == {200: 1, 503: 2}


def test_an_answer_that_does_not_begin_in_time_is_a_504() -> None:
    outcome = lived(traffic((10.0, 99.0, 0)), {"timeouts": {"response": "5s"}})
    assert outcome.statuses == {504: 1}


def test_requests_that_share_a_core_slow_each_other_down() -> None:
    """The second comes while the first is there: it takes twice its time, and the third thrice."""
    of = traffic((5.0, 0.0, 0), (10.0, 1.0, 0), (10.1, 1.0, 0), (10.2, 1.0, 0), (12.5, 1.0, 0))
    quick = lived(of, ONE_AT_A_TIME | {"concurrency": 3})
    slow = lived(of, ONE_AT_A_TIME | {"concurrency": 3}, slowdown=Cores(1))
    assert len(quick.waits) == 1
    assert len(slow.waits) == 1
    spec = ONE_AT_A_TIME | {"concurrency": 2}
    assert len(lived(of, spec).waits) == 2  # the third finds no place
    assert len(lived(of, spec, slowdown=Cores(0.1)).waits) == 3  # and even the last waits


def test_replicas_that_die_cost_no_get() -> None:
    """They are sent again, elsewhere or to the next one: contract §5."""
    of = traffic(*((10.0 + each / 5, 0.5, 0) for each in range(300)), seconds=80.0)
    outcome = lived(of, {"scaling": {"min": 1}}, crash=Constant(37.0))
    assert outcome.statuses == {200: 300}
    assert outcome.starts == 3


def test_what_dies_again_and_again_is_started_ever_later() -> None:
    of = traffic(*((10.0 + each, 0.5, 0) for each in range(500)))
    outcome = lived(of, crash=Constant(5.0))
    assert outcome.starts < 20
    assert outcome.statuses[503] > 200


def test_starts_that_fail_end_in_words_and_not_in_hanging() -> None:
    outcome = lived(traffic(*((10.0 + each, 0.1, 0) for each in range(60))), start_fails=1.0)
    assert outcome.statuses == {503: 60}
    assert outcome.starts < 12  # back-off: 1 s x 2 up to 60 s


def test_answers_that_fail_are_counted() -> None:
    of = traffic(*((10.0 + each / 10, 0.01, 0) for each in range(1000)))
    outcome = lived(of, answer_fails=0.1)
    assert 60 < outcome.statuses[500] < 140


def test_a_herd_is_held_and_served_to_the_last() -> None:
    outcome = lived(traffic(*((10.0, 0.05, 0) for _ in range(1000))), {"queue": {"size": 2000}})
    assert outcome.statuses == {200: 1000}
    assert outcome.cold_starts == 1


def test_on_a_full_host_the_idle_service_makes_room_and_the_busy_one_stays() -> None:
    spec = {"scaling": {"idle": {"stop_after": "1h"}}, "timeouts": {"response": "200s"}}
    full = settings(web=spec, api=spec, db=spec)
    a_half = {"resources": Resources(memory=256 * 2**20)}
    full = full.model_copy(
        update={
            "host": Host(memory=512 * 2**20),
            "services": {n: one.model_copy(update=a_half) for n, one in full.services.items()},
        }
    )
    busy, idle, third = (20.0, 100.0, 0), (40.0, 0.1, 1), (70.0, 0.1, 2)
    of = traffic(busy, idle, third, services=("web", "api", "db"))
    outcome = simulate(Story(full, of, Assumptions(start=Constant(1.0))))
    assert outcome.statuses == {200: 3}
    assert max(sample.present for sample in outcome.series) == 2


def test_a_frozen_replica_costs_memory_and_is_no_cold_start() -> None:
    spec = {"scaling": {"idle": {"freeze_after": "10s", "stop_after": "300s"}}}
    outcome = lived(traffic((10.0, 0.1, 0), (200.0, 0.1, 0)), spec)
    assert outcome.cold_starts == 1
    assert outcome.frozen_seconds > 300
    assert outcome.wait.p50 < 0.1


def test_the_same_seed_tells_the_same_story() -> None:
    of = traffic(*((10.0 + each / 7, 0.3, 0) for each in range(900)))
    first, again, other = (
        lived(of, crash=Constant(20.0), answer_fails=0.05, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first.statuses != other.statuses


def test_an_unknown_service_is_told() -> None:
    with pytest.raises(Unknown, match="no such service in the configuration: api"):
        simulate(Story(settings(web={}), traffic((1.0, 1.0, 0), services=("api",))))


@examples(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.floats(0, 20), st.integers(0, 1)), min_size=1, max_size=40
    ),
    st.integers(0, 3),
    st.integers(1, 5),
    st.sampled_from([None, Constant(15.0)]),
)
def test_every_request_has_one_outcome(
    arrivals: list[tuple[float, float, int]], concurrency: int, queue: int, crash: Constant | None
) -> None:
    spec = {"concurrency": concurrency, "queue": {"size": queue, "timeout": "5s"}}
    of = traffic(*arrivals, seconds=90.0, services=("web", "api"))
    outcome = simulate(Story(settings(web=spec, api={}), of, Assumptions(crash=crash)))
    assert outcome.requests == len(arrivals) == sum(outcome.statuses.values())
    assert sum(sample.arrivals for sample in outcome.series) == len(arrivals)
