"""Open and closed loops are told apart by what stays when the number of replicas changes."""

from bisect import bisect_left
from dataclasses import replace

from autoscaler.clients import Clients
from autoscaler.sight import Counted, Sight
from cluster.buckets import EDGES


def seen(ready: int, rate: float, at_once: float, *, seconds: float = 6.0) -> Sight:
    took = at_once / rate  # Little's law
    slow = Counted({bisect_left(EDGES, took): 100}, seconds)
    return Sight(ready, ready, rate=rate, concurrency=at_once, slow=slow, grown_over=seconds)


def test_as_many_a_second_with_less_at_once_are_an_open_loop() -> None:
    clients = Clients(wait=True)
    assert not clients.look(seen(2, 100.0, 40.0))
    assert clients.look(seen(4, 100.0, 10.0))
    assert not clients.wait


def test_as_many_at_once_with_more_a_second_are_a_closed_one() -> None:
    clients = Clients()
    assert not clients.look(seen(2, 100.0, 60.0))
    assert clients.look(seen(4, 200.0, 60.0))
    assert clients.wait
    assert not clients.look(seen(4, 200.0, 60.0)), "it is told once"


def test_fewer_replicas_tell_it_as_well() -> None:
    clients = Clients()
    clients.look(seen(4, 200.0, 60.0))
    assert clients.look(seen(3, 150.0, 60.0))


def test_load_that_grows_with_the_replicas_tells_nothing() -> None:
    clients = Clients()
    clients.look(seen(2, 100.0, 10.0))
    assert not clients.look(seen(4, 200.0, 20.0))


def test_load_that_goes_away_tells_nothing() -> None:
    """Fewer a second, fewer replicas, but each answer as late as before."""
    clients = Clients()
    clients.look(seen(4, 200.0, 20.0))
    assert not clients.look(replace(seen(2, 200.0, 20.0), rate=90.0))


def test_what_piles_up_tells_nothing() -> None:
    clients = Clients()
    clients.look(replace(seen(2, 100.0, 60.0), growth=50.0))
    assert not clients.look(seen(4, 200.0, 60.0))


def test_a_trial_that_has_just_begun_tells_nothing() -> None:
    clients = Clients()
    clients.look(seen(2, 100.0, 60.0))
    assert not clients.look(seen(4, 200.0, 60.0, seconds=2.0))
