"""A model of replicas under load in virtual time, scaled by a real policy: seconds in milliseconds.

Each replica serves `servers` requests at once and the others in order of arrival (M/M/c, one queue
each), so latency is flat up to a knee and grows without bound beyond it. A shared dependency adds
its own time, whatever the number of replicas: a delay, or a pool of servers of its own. Requests go
to the replica with the least in flight, as in the gateway. Replicas take `start` seconds to start.
"""

import heapq
import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler.decision import Counts, Decision
from autoscaler.policy import Policy
from cluster.buckets import EDGES
from cluster.messages import LoadReport


@dataclass
class Work:
    """What one request costs: mean seconds at a replica, `sigma` of a log-normal spread."""

    mean: float = 0.05
    sigma: float = 0.3
    delay: float = 0.0  # of the shared dependency
    pool: list[float] = field(default_factory=list)  # when each of its servers is free
    pool_time: float = 0.0

    def own(self, rng: random.Random) -> float:
        return self.mean * rng.lognormvariate(-(self.sigma**2) / 2, self.sigma)

    def shared(self, at: float) -> float:
        """When the pool has answered, which serves the requests of all replicas as they come."""
        done = max(at, heapq.heappop(self.pool)) + self.pool_time
        heapq.heappush(self.pool, done)
        return done


class ReplicaModel:
    """One replica: when its servers are free, and what it has in flight."""

    def __init__(self, servers: int, ready_at: float) -> None:
        self.free = [0.0] * servers
        self.ready_at = ready_at
        self.in_flight: list[float] = []  # when each will be answered

    def serve(self, at: float, work: Work, rng: random.Random) -> float:
        if work.pool:
            done = work.shared(at) + work.own(rng)
        else:
            free = max(at, heapq.heappop(self.free)) + work.own(rng)
            heapq.heappush(self.free, free)
            done = free + work.delay
        heapq.heappush(self.in_flight, done)
        return done

    def load(self, at: float) -> int:
        while self.in_flight and self.in_flight[0] <= at:
            heapq.heappop(self.in_flight)
        return len(self.in_flight)


class World:
    """A service under `rate` requests a second (a function of time), in an open loop; with
    `clients`, so many instead that ask again as soon as they have an answer: a closed one."""

    def __init__(
        self,
        policy: Policy,
        rate: Callable[[float], float],
        *,
        servers: int = 4,
        work: Work | None = None,
        start: float = 1.0,
        seed: int = 1,
        clients: int = 0,
    ) -> None:
        self.policy = policy
        self.rate = rate
        self.servers = servers
        self.work = work or Work()
        self.start = start
        self.rng = random.Random(seed)
        self.now = 0.0
        self.replicas: list[ReplicaModel] = []
        self.decisions: list[Decision] = []
        self.wanted: list[tuple[float, int]] = []
        self.latencies: list[tuple[float, float]] = []  # when answered, how long it took
        self._under_way: list[tuple[float, float]] = []
        self._waiting: list[float] = []
        self._next = 0.0
        self._clients = [0.0] * clients  # when each has its answer, and asks again
        self._look = math.inf

    # Time

    def run(self, until: float) -> "World":
        """Second by second: requests, a report, and whatever decision is due."""
        while self.now < until:
            second = self.now + 1.0
            self._requests(second)
            self.now = second
            self._report()
            if self.now >= self._look:
                self._decide()
        return self

    def _requests(self, until: float) -> None:
        self._arrivals = 0
        while self._clients and self._clients[0] < until:
            asked = heapq.heappop(self._clients)
            heapq.heappush(self._clients, self._arrive(asked) + 1e-4)
        while self._next < until and not self._clients:
            rate = self.rate(self._next)
            if rate <= 0:
                self._next += 1.0
                continue
            self._arrive(self._next)
            self._next += self.rng.expovariate(rate)

    def _arrive(self, at: float) -> float:
        """When it is answered."""
        self._arrivals += 1
        ready = [one for one in self.replicas if one.ready_at <= at]
        if not ready:
            self.wake(at)
            return at + 0.1
        replica = min(ready, key=lambda one: one.load(at))
        done = replica.serve(at, self.work, self.rng)
        heapq.heappush(self._under_way, (done, at))
        return done

    def wake(self, at: float) -> None:
        """Requests without a replica are dropped here: what they wait is no latency."""
        decision = self.policy.wake(Counts(starting=len(self.replicas)), at)
        if decision:
            self._act(decision)

    def _report(self) -> None:
        counts: Counter[int] = Counter()
        busy = 0.0
        while self._under_way and self._under_way[0][0] <= self.now:
            done, came = heapq.heappop(self._under_way)
            counts[bisect_left(EDGES, done - came)] += 1
            self.latencies.append((done, done - came))
            busy += done - max(came, self.now - 1.0)
        busy += sum(self.now - max(came, self.now - 1.0) for _, came in self._under_way)
        report = LoadReport(
            *("web", self.now, 1.0, busy, self._arrivals, 0, len(self._under_way), 0),
            latencies=tuple(sorted(counts.items())),
        )
        if self._arrivals or busy or self._under_way:
            self.policy.record(report)
            self._look = min(self._look, self.policy.next_look(self.now))

    # Replicas

    def _decide(self) -> None:
        ready = sum(one.ready_at <= self.now for one in self.replicas)
        decision = self.policy.decide(Counts(ready, len(self.replicas) - ready), self.now)
        self.decisions.append(decision)
        self._act(decision)
        self._look = self.policy.next_look(self.now)

    def _act(self, decision: Decision) -> None:
        wanted = 0 if decision.frozen else decision.replicas
        if not self.wanted or self.wanted[-1][1] != wanted:
            self.wanted.append((decision.at, wanted))
        while len(self.replicas) < wanted:
            self.replicas.append(ReplicaModel(self.servers, decision.at + self.start))
        del self.replicas[wanted:]
        self._look = min(self._look, self.policy.next_look(decision.at))

    # What came of it

    def percentile(self, percent: float, since: float) -> float:
        """Seconds, exact."""
        values = sorted(took for done, took in self.latencies if done > since)
        return values[math.ceil(percent / 100 * len(values)) - 1]

    def changes(self, since: float, until: float = math.inf) -> list[tuple[float, int]]:
        return [change for change in self.wanted if since < change[0] <= until]

    @property
    def replicas_wanted(self) -> int:
        return self.wanted[-1][1]

    def most(self, since: float, until: float = math.inf) -> int:
        """The largest number that was wanted in that time."""
        before = [number for at, number in self.wanted if at <= since][-1:]
        return max([*before, *(number for _, number in self.changes(since, until))])


def ideal(rate: float, target: float, *, servers: int, work: Work, seed: int = 2) -> int:
    """The fewest replicas that keep the 95th percentile, found by trying each."""
    for number in range(1, 100):
        rng = random.Random(seed)
        replicas = [ReplicaModel(servers, 0.0) for _ in range(number)]
        at, took = 0.0, []
        while at < 120.0:
            done = min(replicas, key=lambda one: one.load(at)).serve(at, work, rng)
            took.append(done - at)
            at += rng.expovariate(rate)
        if sorted(took)[math.ceil(0.95 * len(took)) - 1] <= target:
            return number
    raise AssertionError("no number of replicas is enough")
