"""How services hang together: who needs whom, and what of it cannot be.

Pure. A service that another waits for as `completed` is a one-shot: it runs once, as a migration
does, and ending with 0 is its success.
"""

from collections.abc import Iterable, Iterator, Mapping

from config.errors import Finding, Place
from config.service import Service


def one_shots(services: Iterable[Service]) -> frozenset[str]:
    """Names of those that somebody waits for as completed."""
    return frozenset(
        name
        for service in services
        for name, need in service.depends_on
        if need.condition == "completed"
    )


def of_links(services: Mapping[str, Service], known: Iterable[str]) -> Iterator[Finding]:
    """What cannot be. Seen from the services' mapping; `known` are all names of the file."""
    names = frozenset(known)
    once = one_shots(services.values())
    for service in services.values():
        for name, need in service.depends_on:
            place = (service.name, "depends_on", name)
            if name not in names:
                yield Finding(place, f'there is no service "{name}"')
            elif (other := services.get(name)) is not None and other.endpoints:
                message = f'"{name}" is run by others: Tidegate cannot start it'
                yield Finding(place, message, ((name, "endpoints"),))
            elif need.condition == "healthy" and name in once:
                yield Finding(
                    place,
                    f'"{name}" runs once, because another service waits for it as completed: '
                    "it is never healthy, wait for completed or started",
                )
    yield from _circles(services)


def _circles(services: Mapping[str, Service]) -> Iterator[Finding]:
    """Each circle once, at its first member in the order of the file."""
    done: set[str] = set()
    for name in services:
        if name not in done:
            yield from _walk(services, name, done)


def _walk(services: Mapping[str, Service], first: str, done: set[str]) -> Iterator[Finding]:
    """Depth first, without recursion: a chain may be as long as the file."""
    path = [first]
    left = [iter(_needs(services, first))]
    while left:
        following = next(left[-1], None)
        if following is None:
            left.pop()
            done.add(path.pop())
        elif following in path:
            yield _circle(path[path.index(following) :], services)
        elif following not in done and following in services:
            path.append(following)
            left.append(iter(_needs(services, following)))


def _needs(services: Mapping[str, Service], name: str) -> list[str]:
    return [needed for needed, _ in services[name].depends_on]


def _circle(members: list[str], services: Mapping[str, Service]) -> Finding:
    order = list(services)
    start = min(range(len(members)), key=lambda index: order.index(members[index]))
    round_trip = [*members[start:], *members[:start]]
    following = round_trip[1] if len(round_trip) > 1 else round_trip[0]
    place: Place = (round_trip[0], "depends_on", following)
    also = tuple((name, "depends_on") for name in round_trip[1:])
    if len(round_trip) == 1:
        return Finding(place, "it cannot need itself")
    way = " → ".join([*round_trip, round_trip[0]])
    return Finding(place, f"goes round in a circle, so none could be the first: {way}", also)
