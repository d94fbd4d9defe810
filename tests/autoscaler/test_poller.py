"""Sources are asked in virtual time: when, how often, and what is made of their answers."""

import asyncio
import contextlib
import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.gauges import Gauge
from autoscaler.poller import Poller
from autoscaler.source_metrics import SourceMetrics
from autoscaler.sources.source import SourceFailure
from cluster.events import Events
from cluster.tasks import Tasks
from config.rules import AskingRule, JsonRule, MetricRule
from config.service import Service
from tests.support.scaling_facts import service
from tests.support.scaling_plane import in_time

Answer = Callable[[], float]


def rule(url: str = "http://a", **changes: object) -> JsonRule:
    facts = {"metric": "json", "url": url, "value": "n", "target": 10.0, **changes}
    return JsonRule.model_validate(facts)


def asking(name: str, *rules: JsonRule) -> Service:
    return service(name, rules=rules)


@dataclass
class Told:
    """A source that does as told, for every rule; and all that came of it."""

    poller: Poller
    collectors: CollectorRegistry
    events: Events
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    gauges: list[tuple[float, str, MetricRule, Gauge]] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    at_once: int = 0
    most_at_once: int = 0

    def configure(self, *services: Service) -> None:
        self.poller.configure({spec.name: spec for spec in services})

    def values(self, name: str = "web") -> list[float | None]:
        return [gauge.value for _, service, _, gauge in self.gauges if service == name]

    def last(self, name: str = "web") -> Gauge:
        return [gauge for _, service, _, gauge in self.gauges if service == name][-1]

    def sample(self, metric: str, name: str = "web", place: int = 0) -> float | None:
        labels = {"service": name, "metric": "json", "rule": str(place)}
        return self.collectors.get_sample_value(f"tidegate_scaling_source_{metric}", labels)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events.since()]


class Asked:
    def __init__(self, told: Told, url: str, slow: float) -> None:
        self.told, self.url, self.slow = told, url, slow

    async def ask(self) -> float:
        told = self.told
        told.asked[self.url].append(asyncio.get_running_loop().time())
        told.at_once += 1
        told.most_at_once = max(told.most_at_once, told.at_once)
        try:
            await asyncio.sleep(self.slow)
            return told.answers.get(self.url, lambda: 25.0)()
        finally:
            told.at_once -= 1

    async def close(self) -> None:
        self.told.closed += 1


@contextlib.asynccontextmanager
async def polled(*services: Service, slow: float = 0.0) -> AsyncIterator[Told]:
    clock = asyncio.get_running_loop().time
    collectors, events = CollectorRegistry(), Events(clock)

    def opened(one: AskingRule) -> Asked:
        assert isinstance(one, JsonRule)
        told.opened += 1
        return Asked(told, one.url, slow)

    def tell(name: str, one: AskingRule, gauge: Gauge) -> None:
        told.gauges.append((clock(), name, one, gauge))

    async with Tasks() as tasks:
        metrics = SourceMetrics(collectors)
        poller = Poller(opened, tell, tasks, events, metrics, clock, random.Random(7))
        told = Told(poller, collectors, events)
        told.configure(*services)
        yield told
        await poller.close()
        assert told.opened == told.closed


def failing(says: str = "it is away", *, silent: bool = False) -> Answer:
    def answer() -> float:
        raise SourceFailure(says, silent=silent)

    return answer


def test_without_asking_rules_there_is_no_task_and_no_timer() -> None:
    async def steps() -> None:
        loop = asyncio.get_running_loop()
        before = len(asyncio.all_tasks())
        async with polled(service("a"), service("b", min=2)):
            assert len(asyncio.all_tasks()) == before
            assert not loop._scheduled  # type: ignore[attr-defined]

    in_time(steps)


def test_a_source_is_asked_at_once_and_then_every_so_often() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule(every=10.0))) as told:
            await asyncio.sleep(100.0)
            moments = told.asked["http://a"]
            assert moments[0] <= 0.01
            pauses = [b - a for a, b in itertools.pairwise(moments)]
            assert all(9.5 <= pause <= 10.5 for pause in pauses)
            assert max(pauses) - min(pauses) > 0.1, "no jitter"
            assert told.sample("value") == 25.0
            assert told.sample("active") == 1
            assert told.sample("errors_total") == 0
            assert told.last().until > asyncio.get_running_loop().time()

    in_time(steps)


def test_a_thousand_services_do_not_ask_at_once() -> None:
    """Spread over ten seconds: no more than a few at any moment, though each takes a tenth."""

    async def steps() -> None:
        many = [asking(f"s{n}", rule(f"http://{n}", every=15.0)) for n in range(1000)]
        async with polled(*many, slow=0.1) as told:
            await asyncio.sleep(15.0)
            assert len(told.asked) == 1000
            assert told.most_at_once < 40

    in_time(steps)


def test_services_that_ask_the_same_are_asked_for_once() -> None:
    async def steps() -> None:
        one, other = rule(target=5.0), rule(target=50.0, activation=30.0, every=5.0)
        async with polled(asking("a", one), asking("b", other)) as told:
            await asyncio.sleep(24.0)
            assert told.opened == 1
            assert 4 <= len(told.asked["http://a"]) <= 6, "as often as the most curious one"
            assert told.values("a") == told.values("b") != []
            assert told.last("a").is_active
            assert not told.last("b").is_active

    in_time(steps)


def test_another_header_is_another_question() -> None:
    async def steps() -> None:
        rules = [rule(headers={"X": "1"}), rule(headers={"X": "2"})]
        async with polled(*(asking(f"s{n}", one) for n, one in enumerate(rules))) as told:
            await asyncio.sleep(1.0)
            assert told.opened == 2

    in_time(steps)


def test_failures_are_counted_told_once_and_forgotten_when_it_is_back() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule(every=10.0, fallback=2))) as told:
            await asyncio.sleep(5.0)
            told.answers["http://a"] = failing()
            await asyncio.sleep(40.0)
            assert told.values()[0] == 25.0
            assert set(told.values()[1:]) == {None}
            assert told.last().failing == len(told.values()) - 1 >= 3
            assert told.last().says == "it is away"
            assert told.sample("value") is None, "a stale value would look like a fresh one"
            assert told.sample("errors_total") == told.last().failing
            assert told.kinds() == ["metric-away"]
            told.answers["http://a"] = lambda: 3.0
            await asyncio.sleep(11.0)
            assert (told.last().value, told.last().failing) == (3.0, 0)
            assert told.kinds() == ["metric-away", "metric-back"]
            said = [event.message for event in told.events.since()]
            assert said == [
                "web: its metric json has no value: it is away; "
                "after 3 failures in a row it falls back to 2",
                "web: its metric json has a value again: 3",
            ]

    in_time(steps)


def test_a_timeout_holds_for_the_whole_and_the_next_question_comes_in_time() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule(every=10.0, timeout=2.0)), slow=5.0) as told:
            await asyncio.sleep(25.0)
            assert len(told.asked["http://a"]) == 3
            assert told.gauges[0][0] - told.asked["http://a"][0] == 2.0
            assert told.last().says == "no answer within 2s"
            assert told.sample("latency_seconds") == 2.0

    in_time(steps)


def test_a_driver_with_a_bug_is_asked_again_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def steps() -> None:
        def broken() -> float:
            raise ZeroDivisionError("hunter2")

        async with polled(asking("web", rule(every=10.0))) as told:
            told.answers["http://a"] = broken
            await asyncio.sleep(25.0)
            assert told.last().failing == 3
            assert "hunter2" not in told.last().says

    in_time(steps)
    assert "ZeroDivisionError in " in caplog.text
    assert "hunter2" not in caplog.text


# Reload


def test_a_reload_keeps_what_was_measured_and_when_it_is_due() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule(every=10.0))) as told:
            await asyncio.sleep(5.0)
            before, tasks = len(told.gauges), asyncio.all_tasks()
            changed = rule(every=10.0, target=3.0, activation=30.0)
            told.configure(asking("web", changed))
            assert asyncio.all_tasks() == tasks
            moment, _, of, gauge = told.gauges[-1]
            assert (len(told.gauges), moment, of) == (before + 1, 5.0, changed)
            assert (gauge.value, gauge.is_active) == (25.0, False)
            await asyncio.sleep(6.0)
            assert len(told.asked["http://a"]) == 2

    in_time(steps)


def test_failures_outlive_a_reload() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule(every=10.0))) as told:
            told.answers["http://a"] = failing()
            await asyncio.sleep(15.0)
            told.configure(asking("web", rule(every=10.0, fallback=4)))
            assert told.last().failing == 2
            await asyncio.sleep(10.0)
            assert told.last().failing == 3
            assert told.last().is_active, "a fallback of 4 keeps it awake"

    in_time(steps)


def test_a_reload_begins_and_ends_what_it_must() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule()), asking("gone", rule("http://b"))) as told:
            await asyncio.sleep(1.0)
            assert told.sample("value", "gone") == 25.0
            told.configure(asking("web", rule("http://c"), rule()), asking("new", rule("http://d")))
            await asyncio.sleep(1.0)
            assert {url: len(moments) for url, moments in told.asked.items()} == {
                "http://a": 1,
                "http://b": 1,
                "http://c": 1,
                "http://d": 1,
            }
            assert told.sample("value", "gone") is None
            assert told.sample("errors_total", "gone") is None
            assert told.sample("value", "web", 0) == told.sample("value", "web", 1) == 25.0
            await asyncio.sleep(60.0)
            assert len(told.asked["http://b"]) == 1, "nobody asks any more"

    in_time(steps)


def test_asking_more_often_begins_anew_without_waiting_for_the_old_turn() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule(every=3600.0))) as told:
            await asyncio.sleep(1.0)
            told.configure(asking("web", rule(every=5.0)))
            assert told.last().value == 25.0
            await asyncio.sleep(5.1)
            assert len(told.asked["http://a"]) == 2

    in_time(steps)


def test_two_rules_that_change_places_keep_their_counts() -> None:
    async def steps() -> None:
        one, other = rule(), rule("http://b")
        async with polled(asking("web", one, other)) as told:
            told.answers["http://b"] = lambda: 7.0
            await asyncio.sleep(1.0)
            told.configure(asking("web", other, one))
            assert (told.sample("value", place=0), told.sample("value", place=1)) == (7.0, 25.0)

    in_time(steps)


def test_once_closed_nothing_is_asked_any_more() -> None:
    async def steps() -> None:
        async with polled(asking("web", rule(every=5.0))) as told:
            await asyncio.sleep(1.0)
            await told.poller.close()
            told.configure(asking("web", rule("http://b")))
            await asyncio.sleep(60.0)
            assert {url: len(moments) for url, moments in told.asked.items()} == {"http://a": 1}

    in_time(steps)
