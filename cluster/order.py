"""Who may start now and who may go now, read from the registry: the order of linked services.

Keeps nothing but the links of the file. A service without links costs a look into a mapping.
"""

from collections.abc import Callable, Mapping

from cluster.conditions import Standing, holds, is_at_work, is_in_use, serves, trouble_of
from cluster.model import Mode, Trouble
from cluster.registry import Registry
from config.service import Service


class Order:
    """`revision` names what a service runs now."""

    def __init__(self, registry: Registry, revision: Callable[[Service], str]) -> None:
        self._registry = registry
        self._revision = revision
        self._dependants: dict[str, tuple[str, ...]] = {}

    def configure(self, specs: Mapping[str, Service]) -> None:
        dependants: dict[str, list[str]] = {}
        for name, spec in specs.items():
            for needed, _ in spec.depends_on:
                dependants.setdefault(needed, []).append(name)
        self._dependants = {name: tuple(names) for name, names in dependants.items()}

    def neighbours(self, service: str) -> tuple[str, ...]:
        """Those for whom a change of this service may be news."""
        spec = self._registry.specs.get(service)
        needed = tuple(name for name, _ in spec.depends_on) if spec else ()
        return (*self._dependants.get(service, ()), *needed)

    def waits_for(self, spec: Service) -> tuple[str, ...]:
        """`db (healthy)`, …: what must come before its first replica."""
        return tuple(
            f"{standing.service} ({condition})" for standing, condition in self._missing(spec)
        )

    def is_held(self, spec: Service) -> bool:
        """Not to be started or thawed yet. One that serves is never held: what it depends on may
        be away for a while, and that is its own affair."""
        replicas = self._registry.replicas(spec.name)
        return bool(spec.depends_on) and not serves(replicas) and bool(self._missing(spec))

    def trouble(self, spec: Service) -> Trouble | None:
        return trouble_of(standing for standing, _ in self._missing(spec))

    def may_sleep(self, spec: Service) -> bool:
        """The operator's hand waits for nobody."""
        if self._registry.desired(spec.name).mode is Mode.MANUAL:
            return True
        if self._registry.is_one_shot(spec.name):
            return not is_at_work(self._registry.replicas(spec.name))
        return not any(
            is_in_use(self._registry.replicas(name)) for name in self._dependants.get(spec.name, ())
        )

    def is_done(self, spec: Service) -> bool:
        """A one-shot that has ended well in its current revision."""
        completed = self._registry.completed(spec.name)
        return completed is not None and completed == self._revision(spec)

    def _missing(self, spec: Service) -> list[tuple[Standing, str]]:
        return [
            (standing, need.condition)
            for name, need in spec.depends_on
            if (known := self._registry.specs.get(name)) is not None
            and not holds(need.condition, standing := self._standing(known))
        ]

    def _standing(self, spec: Service) -> Standing:
        return Standing(
            spec.name,
            self._registry.desired(spec.name),
            self._registry.replicas(spec.name),
            self.is_done(spec),
            # As clients are told it: nothing while a replica is on its way.
            self._registry.snapshot(spec.name).trouble,
        )
