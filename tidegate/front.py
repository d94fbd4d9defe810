"""The gateway as the rest of the control process sees it, wherever it runs."""

from collections.abc import Mapping
from typing import Protocol

from cluster.messages import EndpointSnapshot
from cluster.model import Address
from config.service import Service
from config.settings import Gateway as Settings
from gateway.gateway import Gateway
from gateway.routed import routed
from gateway.stats import GatewayStats


class Front(Protocol):
    """Inside: gateway.gateway. In processes of its own: tidegate.workers."""

    def configure(self, services: Mapping[str, Service], settings: Settings) -> None: ...
    def apply(self, snapshot: EndpointSnapshot) -> None: ...
    async def start(self) -> list[Address]: ...
    async def drain(self, timeout: float) -> None: ...
    async def refresh(self) -> None: ...
    def stats(self, now: float) -> GatewayStats: ...


class Inside:
    """A gateway in the control process itself: its counts are always fresh."""

    def __init__(self, gateway: Gateway) -> None:
        self.apply = gateway.apply
        self.drain = gateway.drain
        self.stats = gateway.stats
        self._gateway = gateway

    def configure(self, services: Mapping[str, Service], settings: Settings) -> None:
        self._gateway.configure((routed(name, one) for name, one in services.items()), settings)

    async def start(self) -> list[Address]:
        return await self._gateway.start()

    async def refresh(self) -> None:
        """Nothing to fetch."""
