"""Who must be awake, given who is used: over dependencies and groups, from the whole state.

Pure, and level-based: nothing is counted up or down, so nothing can drift. Only what is used by
itself (requests, a lease, `min`, the operator's hand) wakes others; being needed is no use of its
own, else two services of a group would keep each other awake for ever. A service that is on its
way to sleep still needs its dependencies, but not its group.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from config.service import Service


@dataclass(frozen=True, slots=True)
class Need:
    """Why a service must be awake.

    `lingers`: when the need ends, its own idle time begins; a member of a group just follows.
    """

    why: str
    lingers: bool


@dataclass(frozen=True, slots=True)
class Links:
    """What the file says: dependencies by service, and the other members of its group."""

    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _companies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, specs: Mapping[str, Service]) -> Self:
        """Names that no service has are left out."""
        depends = {
            name: tuple(needed for needed, _ in spec.depends_on if needed in specs)
            for name, spec in specs.items()
            if spec.depends_on
        }
        groups: dict[str, list[str]] = {}
        for name, spec in specs.items():
            if spec.group is not None:
                groups.setdefault(spec.group, []).append(name)
        mates = {
            name: tuple(other for other in group if other != name)
            for group in groups.values()
            for name in group
        }
        return cls(depends, mates, _companies(depends, mates))

    def company(self, service: str) -> tuple[str, ...]:
        """All that may be woken or kept awake by each other, itself included; none for most."""
        return self._companies.get(service, ())

    def needs(self, used: Iterable[str], awake: Iterable[str]) -> dict[str, Need]:
        """Who is needed, and why. `used` are used by themselves, `awake` for whatever reason."""
        found: dict[str, Need] = {}
        reached = list(dict.fromkeys(used))
        roots = frozenset(reached)
        seen = set(reached)
        for service in reached:  # grows while it is walked
            for other, need in self._of_one(service):
                if other in roots and not need.lingers:
                    continue  # a member that is used needs no other one to be so
                if other not in found or (need.lingers and not found[other].lingers):
                    found[other] = need
                if other not in seen:
                    seen.add(other)
                    reached.append(other)
        self._of_those_going_to_sleep([one for one in awake if one not in seen], found)
        return found

    def _of_one(self, service: str) -> Iterator[tuple[str, Need]]:
        for other in self.depends.get(service, ()):
            yield other, Need(f"{service}, which depends on it", lingers=True)
        for other in self.mates.get(service, ()):
            yield other, Need(f"{service} of its group", lingers=False)

    def _of_those_going_to_sleep(self, services: list[str], found: dict[str, Need]) -> None:
        seen = set(services)
        for service in services:
            for other in self.depends.get(service, ()):
                found.setdefault(other, Need(f"{service}, which depends on it", lingers=True))
                if other not in seen:
                    seen.add(other)
                    services.append(other)


def _companies(
    depends: Mapping[str, tuple[str, ...]], mates: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The connected ones together, whichever way the links point."""
    linked: dict[str, set[str]] = {}
    for links in (depends, mates):
        for name, others in links.items():
            for other in others:
                linked.setdefault(name, set()).add(other)
                linked.setdefault(other, set()).add(name)
    found: dict[str, tuple[str, ...]] = {}
    for name in linked:
        if name not in found:
            members = _reachable(name, linked)
            found.update(dict.fromkeys(members, members))
    return found


def _reachable(first: str, linked: Mapping[str, set[str]]) -> tuple[str, ...]:
    reached = [first]
    seen = {first}
    for name in reached:
        fresh = sorted(linked[name] - seen)
        seen.update(fresh)
        reached += fresh
    return tuple(reached)
