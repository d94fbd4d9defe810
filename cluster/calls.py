"""Calls to the engine, timed and counted."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cluster.gate import Gate
from cluster.metrics import ClusterMetrics
from cluster.runtime import RuntimeFailure

T = TypeVar("T")


class Calls:
    """`await calls("start", runtime.start(…))`: the same, measured."""

    def __init__(
        self, metrics: ClusterMetrics, clock: Callable[[], float], gate: Gate | None = None
    ) -> None:
        """All calls pass the gate, if there is one."""
        self._gate = gate
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, name: str, call: Coroutine[Any, Any, T]) -> T:
        if self._gate is None:
            return await self._timed(name, call)
        try:
            async with self._gate.passed():
                return await self._timed(name, call)
        finally:
            call.close()  # when it was never begun

    async def _timed(self, name: str, call: Awaitable[T]) -> T:
        begun = self._clock()
        try:
            return await call
        except RuntimeFailure:
            self._metrics.call_errors.labels(name).inc()
            raise
        finally:
            self._metrics.call_seconds.labels(name).observe(self._clock() - begun)
