"""Which ends are failures, what they cost, and what is told of them."""

import pytest
from prometheus_client import CollectorRegistry

from cluster.events import Events
from cluster.failures import Failures
from cluster.lifecycle import Event, State
from cluster.metrics import ClusterMetrics
from cluster.model import Desired
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
    account.now += 0.5
    account.failures.engine_answers(False)
    account.failures.engine_answers(True)
    assert account.failures.wait("web") == 0.5
