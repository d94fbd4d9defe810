"""The histories of very many services fit into a number of bytes."""

import gc
import tracemalloc
from dataclasses import replace

from autoscaler.archive import FEW, Archive
from autoscaler.decision import Decision
from autoscaler.history import KEEP
from autoscaler.result import Presence
from cluster.model import Mode
from tests.autoscaler.test_history import changing
from tests.support.scaling_facts import seen

ONE = Decision(0.0, 1, Mode.STABLE, "woken by a request, initial is 1", seen(1))


def used(archive: Archive, service: str, decisions: list[Decision]) -> None:
    for decision in decisions:
        archive.add(service, decision, decision.at)
        archive.observe(service, Presence(decision.replicas, 0, decision.replicas), decision.at)


def test_ten_thousand_services_stay_within_their_room() -> None:
    many, few, most = changing(KEEP), changing(4), 4 * 2**20
    gc.collect()
    tracemalloc.start()
    try:
        archive = Archive(most)
        for number in range(10_000):
            used(archive, f"s{number}", many if number % 1000 == 999 else few)
        gc.collect()
        size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < most * 1.1
    assert peak < most * 1.2
    # Those that changed last have all, those of before a few, the first are gone.
    assert len(archive.newest_first("s9999")) == KEEP
    assert len(archive.newest_first("s7999")) == FEW
    assert archive.newest_first("s0") == []
    assert len(list(archive)) > 2_500


def test_the_least_lately_changed_is_thinned_first_and_keeps_its_newest() -> None:
    decisions = changing(30)
    archive = Archive(60_000)
    for service in ("a", "b", "c"):
        used(archive, service, decisions)
    used(archive, "a", [replace(decisions[0], at=9e9)])
    for number in range(20):
        used(archive, f"more-{number}", decisions)
        if len(archive.newest_first("b")) < 30:
            break
    assert [len(archive.newest_first(service)) for service in ("a", "b", "c")] == [31, FEW, 30]
    assert archive.newest_first("b")[0].replicas == decisions[-1].replicas


def test_thin_ones_go_when_there_is_no_other_room() -> None:
    archive = Archive(20_000)
    for number in range(100):
        used(archive, f"s{number}", changing(3))
    assert list(archive)[-1] == "s99"
    assert "s0" not in list(archive)
    assert archive.newest_first("s0") == []


def test_a_history_that_was_thinned_grows_again() -> None:
    archive = Archive(30_000)
    for number in range(20):
        used(archive, f"s{number}", changing(30))
    assert len(archive.newest_first("s10")) in (0, FEW)
    used(archive, "s10", changing(12))
    assert len(archive.newest_first("s10")) >= 12


def test_what_is_forgotten_takes_nothing() -> None:
    archive = Archive()
    for number in range(10):
        used(archive, f"s{number}", changing(10))
    for number in range(10):
        archive.forget(f"s{number}")
    assert list(archive) == []
    assert archive._size == 0
    archive.forget("never there")
    archive.observe("never there", Presence(), 0.0)
    archive.rest("never there")
    assert archive.latest("never there") is None
    assert not archive.is_open("never there")


def test_one_service_alone_keeps_its_history_whatever_the_room() -> None:
    archive = Archive(10)
    used(archive, "only", changing(3))
    assert archive.newest_first("only")


def test_a_sleeping_service_keeps_no_confirmation() -> None:
    archive = Archive()
    archive.add("web", ONE, 0.0)
    archive.add("web", replace(ONE, at=2.0), 2.0)
    assert [record.at for record in archive.newest_first("web")] == [2.0, 0.0]
    archive.rest("web")
    assert [record.at for record in archive.newest_first("web")] == [0.0]
