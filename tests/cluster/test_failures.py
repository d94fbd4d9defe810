"""Which ends are failures, what they cost, and what is told of them."""

import pytest
from prometheus_client import CollectorRegistry

from cluster.events import Events
from cluster.failures import Failures
from cluster.lifecycle import Event, State
from cluster.metrics import ClusterMetrics
from cluster.model import Desired, Trouble
from cluster.registry import Registry
from tests.cluster.builders import a_replica, a_service


class Account:
    """One service that wants a replica, and the account of its failures."""

    def __init__(self, *, engine_owns_count: bool = False) -> None:
        self.now = 100.0
        self.registry = Registry()
        self.collectors = CollectorRegistry()
        self.failures = Failures(
            self.registry,
            Events(lambda: self.now),
            ClusterMetrics(self.collectors),
            lambda: self.now,
            engine_owns_count=engine_owns_count,
        )
        self.registry.configure({"web": a_service()})
        self.registry.want("web", Desired(1))

    def has(self, name: str, state: State) -> None:
        self.registry.add(a_replica(name, state))

    def ends(self, name: str, reason: str = "exited with code 1") -> None:
        self.registry.advance(name, Event.EXITED, reason, self.now)

    @property
    def code(self) -> str | None:
        trouble = self.registry.trouble("web")
        return trouble.code if trouble else None


def test_a_start_that_fails_waits_a_second() -> None:
    account = Account()
    account.has("a", State.STARTING)
    account.ends("a")
    assert account.code == "start-failed"
    assert account.failures.wait("web") == 1.0


def test_a_replica_that_served_for_long_is_replaced_at_once() -> None:
    account = Account()
    account.has("a", State.READY)
    account.now += 60
    account.ends("a")
    assert account.code == "replica-died"
    assert account.failures.wait("web") == 0.0


def test_a_replica_that_dies_while_it_is_being_replaced_has_failed() -> None:
    """Refusals make it unready just before it is seen to be dead."""
    account = Account()
    account.has("a", State.UNHEALTHY)
    account.has("b", State.STARTING)
    account.ends("a", "killed: out of memory")
    assert account.code == "start-failed"
    evictions = account.collectors.get_sample_value(
        "tidegate_evictions_total", {"service": "web", "reason": "start-failed"}
    )
    assert evictions == 1


@pytest.mark.parametrize(("owns_count", "code"), [(True, None), (False, "replica-died")])
def test_a_surplus_replica_that_ends_is_no_failure_of_an_engine_that_owns_the_count(
    owns_count: bool, code: str | None
) -> None:
    account = Account(engine_owns_count=owns_count)
    account.has("a", State.READY)
    account.has("b", State.READY)
    account.ends("b")
    assert account.code == code


def test_the_third_failure_in_a_row_is_a_crash_loop() -> None:
    account = Account()
    codes = []
    for name in "abc":
        account.has(name, State.STARTING)
        account.ends(name)
        codes.append(account.code)
    assert codes == ["start-failed", "start-failed", "crash-looping"]


def test_a_known_cause_keeps_its_name() -> None:
    account = Account()
    for name in "abcd":
        account.has(name, State.STARTING)
        account.failures.why(name, "image-missing")
        account.ends(name)
    assert account.code == "image-missing"


def test_a_new_revision_starts_with_a_clean_slate() -> None:
    account = Account()
    account.has("a", State.STARTING)
    account.ends("a")
    account.failures.forgive("web")
    assert account.code is None
    assert account.failures.wait("web") == 0.0


def test_a_ready_replica_ends_the_trouble() -> None:
    account = Account()
    account.has("a", State.STARTING)
    account.ends("a")
    account.has("b", State.STARTING)
    account.registry.advance("b", Event.PASSED, "", account.now)
    assert account.code is None


def test_what_is_made_good_at_once_is_not_told_to_clients() -> None:
    """A request that comes between the end and the next start waits for that."""
    account = Account()
    account.has("a", State.READY)
    account.now += 60
    account.ends("a")
    assert account.registry.snapshot("web").trouble is None
    account.has("b", State.STARTING)
    account.ends("b")
    assert account.registry.snapshot("web").trouble is not None


def test_a_replica_killed_from_outside_is_replaced_at_once_again_and_again() -> None:
    account = Account()
    for name in "abcdef":
        account.has(name, State.READY)
        account.now += 3
        account.failures.was_killed(name)
        account.ends(name, "killed by SIGKILL")
        assert account.failures.wait("web") == 0
        assert account.code == "replica-died"


def test_one_killed_before_it_was_ready_has_failed() -> None:
    account = Account()
    account.has("a", State.STARTING)
    account.failures.was_killed("a")
    account.ends("a", "killed by SIGKILL")
    assert account.failures.wait("web") == 1


def misses(account: Account, name: str) -> None:
    account.has(name, State.STARTING)
    account.failures.why(name, "engine-unavailable")
    account.ends(name, "nobody listens there; start Docker")


def test_an_engine_that_is_away_for_a_moment_is_no_trouble_of_the_service() -> None:
    account = Account()
    account.failures.engine_answers(True)
    account.failures.engine_answers(False)
    misses(account, "a")
    assert not account.registry.trouble("web")
    assert account.failures.wait("web") == 0.5
    account.now += 10
    misses(account, "b")
    assert account.code == "engine-unavailable"
    account.failures.engine_answers(True)
    assert not account.registry.trouble("web")
    assert account.failures.wait("web") == 0


def test_the_engines_trouble_is_never_a_crash_loop_and_its_return_forgives_it() -> None:
    account = Account()
    account.failures.engine_answers(True)
    account.failures.engine_answers(False)
    for name in "abcde":
        account.now += 5
        account.has(name, State.STARTING)
        account.ends(name, "the engine said: 500")  # told as the service's own failure
    assert account.code == "crash-looping"
    account.failures.engine_answers(True)
    assert not account.registry.trouble("web")
    assert account.failures.wait("web") == 0


def test_what_failed_before_the_engine_went_away_is_not_forgiven() -> None:
    account = Account()
    account.failures.engine_answers(True)
    account.has("a", State.STARTING)
    account.ends("a")
    account.ends("a")
    account.has("b", State.STARTING)
    account.ends("b")
    account.has("c", State.STARTING)
    account.ends("c")
    account.now += 6
    account.failures.engine_answers(False)
    account.failures.engine_answers(True)
    account.has("d", State.STARTING)
    account.ends("d")
    assert account.code == "crash-looping"


def test_replicas_that_end_just_before_the_engine_does_were_ended_by_it() -> None:
    account = Account()
    account.failures.engine_answers(True)
    account.has("a", State.READY)
    account.ends("a", "exited with code 0")
    assert account.code == "replica-died"
    account.now += 1
    account.failures.engine_answers(False)
    assert not account.registry.trouble("web")
    assert account.failures.wait("web") == 0


def test_the_first_loss_of_what_served_is_not_told_to_clients_the_second_is() -> None:
    account = Account()
    account.has("a", State.READY)
    account.now += 3
    account.ends("a")
    assert account.failures.wait("web") == 1.0
    assert account.registry.snapshot("web").trouble is None
    account.now += 1
    account.has("b", State.READY)
    account.now += 3
    account.ends("b")
    assert account.registry.snapshot("web").trouble is not None


def test_the_engine_is_to_blame_for_what_it_missed_and_for_nothing_after_that() -> None:
    account = Account()
    account.failures.engine_answers(True)
    misses(account, "a")
    assert account.failures.is_engines("web")
    account.has("b", State.STARTING)
    account.ends("b")
    assert not account.failures.is_engines("web")


def evictions(account: Account, reason: str) -> float | None:
    labels = {"service": "web", "reason": reason}
    return account.collectors.get_sample_value("tidegate_evictions_total", labels)


def test_one_that_was_evicted_and_came_back_is_counted_when_it_dies_later() -> None:
    account = Account()
    account.has("a", State.READY)
    account.failures.evicted("web", "a", "liveness")
    account.registry.advance("a", Event.UNREADY, "hangs", account.now)
    account.registry.advance("a", Event.PASSED, "", account.now)
    account.now += 60
    account.ends("a")
    assert evictions(account, "liveness") == 1
    assert evictions(account, "replica-died") == 1


def test_one_that_was_evicted_and_is_condemned_is_counted_once() -> None:
    account = Account()
    account.has("a", State.READY)
    account.failures.evicted("web", "a", "liveness")
    account.registry.advance("a", Event.UNREADY, "hangs", account.now)
    account.ends("a")
    assert evictions(account, "liveness") == 1
    assert evictions(account, "replica-died") is None


def test_room_on_the_host_ends_only_the_trouble_of_a_full_one() -> None:
    account = Account()
    codes = []
    for trouble in (Trouble("host-full", "no memory left"), None) * 2:
        account.failures.crowd_out("web", trouble)
        codes.append(account.code)
    assert codes == ["host-full", None] * 2
    account.failures.crowd_out("web", Trouble("host-full", "no memory left"))
    account.has("a", State.STARTING)
    account.ends("a")
    account.failures.crowd_out("web", None)
    assert account.code == "start-failed"


def test_what_fails_while_it_is_taken_away_is_nobodys_trouble() -> None:
    """It would be told of a service of that name that is added later."""
    account = Account()
    account.has("a", State.STARTING)
    account.registry.configure({})
    account.ends("a")
    assert account.code is None
    assert account.failures.wait("web") == 0


def test_what_is_forgotten_starts_like_a_new_one() -> None:
    account = Account()
    for name in "abc":
        account.has(name, State.STARTING)
        account.ends(name)
    account.failures.crowd_out("web", Trouble("host-full", "no memory left"))
    account.failures.blame("web", Trouble("dependency-failed", "db has failed"))
    account.failures.forget("web")
    assert account.code is None
    assert account.failures.wait("web") == 0
    assert not account.failures.are_excused("web")
    account.has("d", State.STARTING)
    account.ends("d")
    assert account.code == "start-failed"
