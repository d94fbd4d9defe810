"""Each contract class names the event loops on which its driver must keep the contract."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

pytest.register_assert_rewrite(
    "tests.contracts.capabilities_contract",
    "tests.contracts.driver_case",
    "tests.contracts.keeping_contract",
    "tests.contracts.lifecycle_contract",
    "tests.contracts.observation",
    "tests.contracts.ownership_contract",
    "tests.contracts.watching_contract",
)

LoopFactories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> LoopFactories:
    contract = getattr(item, "cls", None)
    factories: LoopFactories = getattr(contract, "loops", {"asyncio": asyncio.new_event_loop})
    return factories
