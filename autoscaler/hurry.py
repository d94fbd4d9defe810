"""Puts idle services to sleep before their time, when the host has no room for others."""

from collections.abc import Callable

from autoscaler import sparing
from autoscaler.census import Census
from autoscaler.scaler import Scaler
from cluster.registry import Registry


class Hurry:
    """`clock` is loop time. What is decided here is the scaler's own decision, and recorded so."""

    def __init__(self, scaler: Scaler, registry: Registry, clock: Callable[[], float]) -> None:
        self._scaler = scaler
        self._census = Census(registry)
        self._clock = clock

    def idle_since(self, service: str) -> float | None:
        """When it was in use last (loop time); None while it may not be put to sleep."""
        policy = self._scaler.policy(service)
        return sparing.idle_since(policy, self._clock()) if policy else None

    def put_to_sleep(self, service: str, why: str) -> None:
        """Nothing happens when it must stay."""
        policy, now = self._scaler.policy(service), self._clock()
        if policy is None:
            return
        decision = sparing.put_to_sleep(policy, why, self._census.counts(service), now)
        if decision is not None:
            self._scaler.act(service, decision, now)
