"""The gateway as the rest of the control process sees it, wherever it runs."""

from collections.abc import Collection, Mapping
from typing import Protocol

from cluster.messages import EndpointSnapshot
from cluster.model import Address
from config.service import Service
from config.settings import Gateway as Settings
from gateway.gateway import Gateway
from gateway.listener import Given
from gateway.routed import routed
from gateway.stats import GatewayStats


class Front(Protocol):
    """Inside: gateway.gateway. In processes of its own: tidegate.workers."""

    def configure(self, services: Mapping[str, Service], settings: Settings) -> None: ...
    def apply(self, snapshot: EndpointSnapshot) -> None: ...
    async def start(self, given: Given) -> list[Address]: ...
    async def drain(self, timeout: float, patience: float = 0.0) -> None: ...
    async def refresh(self) -> None: ...
    def stats(self, now: float) -> GatewayStats: ...
    def pids(self) -> Collection[int]:
        """Of processes of its own."""

    def let_go(self, let_go: bool) -> None:
        """Whether another control process may take the gateway."""


class Inside:
    """A gateway in the control process itself: its counts are always fresh."""

    def __init__(self, gateway: Gateway) -> None:
        self.apply = gateway.apply
        self.drain = gateway.drain
        self.stats = gateway.stats
        self.gateway = gateway

    def configure(self, services: Mapping[str, Service], settings: Settings) -> None:
        self.gateway.configure((routed(name, one) for name, one in services.items()), settings)

    async def start(self, given: Given) -> list[Address]:
        return await self.gateway.start(given=given)

    async def refresh(self) -> None:
        """Nothing to fetch."""

    def pids(self) -> Collection[int]:
        return ()

    def let_go(self, let_go: bool) -> None:
        """It is a part of this process."""
