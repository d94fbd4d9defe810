"""Which service of a configuration gets which requests of a trace.

Pure. What the configuration names is that service. All other names become services of their own,
made after one of the configuration's: so a trace of hundreds of functions needs one that stands for
all. Services that nobody asks for, and that no other needs, are left out: they would only cost.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from config.rules import Asked as AskedRule
from config.rules import CpuRule, MemoryRule
from config.scaling import PolicyName, Scaling
from config.service import Service
from config.settings import Settings
from config.wording import either

UNNAMED = "unnamed"  # stands for the service of requests for which nothing names one


class Unmappable(ValueError):
    """The traffic does not fit the configuration; the text tells what to change."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """`made` were made after the template; `notes` tell what a simulation leaves out."""

    settings: Settings
    made: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def template_of(settings: Settings, named: str | None) -> str | None:
    """The service that others are made after. Raises Unmappable."""
    if named is not None and named not in settings.services:
        raise Unmappable(
            f'there is no service "{named}": --service takes {either(_listed(settings.services))}'
        )
    if named is None and len(settings.services) == 1:
        return next(iter(settings.services))
    return named


def mapped(settings: Settings, names: Iterable[str], template: str | None) -> Mapped:
    """Settings that have a service for each name. Raises Unmappable."""
    wanted, services = list(dict.fromkeys(names)), settings.services
    made = [name for name in wanted if name not in services]
    if made and template is None:
        raise Unmappable(_which_one(made, services))
    used = dict.fromkeys(name for name in wanted if name in services)
    sources = dict.fromkeys([*used, *([template] if made and template else [])])
    for name in sources:
        _refuse_foreign(services[name])
    needed = _needed(services, sources)
    kept = {name: services[name] for name in (*used, *needed) if not services[name].endpoints}
    foreign = {name for name in services if services[name].endpoints}
    kept |= {name: _like(services[template], name) for name in made if template}
    return Mapped(
        settings.model_copy(
            update={"services": {name: _alone(one, foreign) for name, one in kept.items()}}
        ),
        tuple(made),
        tuple(name for name in services if name not in kept and name not in sources),
        tuple(_notes(services, (*sources, *needed), foreign)),
    )


def under(settings: Settings, policy: PolicyName) -> Settings:
    """The same, all services following that policy."""

    def changed(service: Service) -> Service:
        return scaled(service, service.scaling.model_copy(update={"policy": policy}))

    services = {name: changed(service) for name, service in settings.services.items()}
    return settings.model_copy(update={"services": services})


def scaled(service: Service, scaling: Scaling) -> Service:
    """The same service by other rules."""
    return service.model_copy(update={"scaling": scaling})


def _like(template: Service, name: str) -> Service:
    """Of no group, or all functions of a trace would wake together."""
    own = {"name": name, "hosts": (f"{name}.localhost",), "group": None}
    return template.model_copy(update=own)


def _alone(service: Service, foreign: set[str]) -> Service:
    """What others run answers nothing here."""
    if service.wake.fallback not in foreign:
        return service
    wake = service.wake.model_copy(update={"fallback": None})
    return service.model_copy(update={"wake": wake})


def _needed(services: Mapping[str, Service], names: Iterable[str]) -> list[str]:
    """Also what wakes with them: dependencies, their group, who answers meanwhile."""
    found, todo = list[str](), list(names)
    seen = set(todo)
    while todo:
        service = services[todo.pop()]
        following = [need for need, _ in service.depends_on]
        following += [service.wake.fallback] if service.wake.fallback else []
        if service.group is not None:
            following += [name for name, one in services.items() if one.group == service.group]
        fresh = [name for name in following if name not in seen]
        seen.update(fresh)
        found += fresh
        todo += fresh
    return found


def _refuse_foreign(service: Service) -> None:
    if service.endpoints:
        raise Unmappable(
            f"services.{service.name} has endpoints, which others run and Tidegate never scales: "
            "there is nothing to simulate; name another service with --service"
        )


def _notes(
    services: Mapping[str, Service], names: Iterable[str], foreign: set[str]
) -> Iterator[str]:
    for name in names:
        if name in foreign:
            yield f"services.{name} is run by others: requests wait instead of being sent there"
        for index, rule in enumerate(services[name].scaling.rules):
            if isinstance(rule, CpuRule | MemoryRule | AskedRule):
                yield (
                    f"services.{name}.scaling.rules[{index}]: a simulation knows nothing of "
                    f"{rule.metric}: the rule has no data, so replicas are never taken away for "
                    "lack of load; leave it out to see the others alone"
                )


def _which_one(made: list[str], services: Mapping[str, Service]) -> str:
    there = either(_listed(services))
    if made == [UNNAMED]:
        return f"nothing names the service of these requests: --service takes {there}"
    names = ", ".join(name for name in made if name != UNNAMED)
    shown = names if len(made) <= 3 else f"{', '.join(made[:3])} and {len(made) - 3} more"
    return (
        f"the configuration has no service {shown}: --service NAME says which of its services "
        f"stands for all that it does not name: {there}"
    )


def _listed(services: Mapping[str, Service]) -> list[str]:
    names = sorted(services)
    return names if len(names) <= 8 else [*names[:8], f"{len(names) - 8} more"]
