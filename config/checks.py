"""What no key can know alone: whether the parts of a configuration fit each other.

Pure. Each check names the key to change and what it was measured against.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain

from config import confinement
from config.addresses import is_loopback, overlap, split
from config.errors import Finding, Place
from config.health import KINDS, OF_HTTP, Health, Probe, StartupProbe
from config.rule_checks import of_rules
from config.rules import CpuRule, MemoryRule
from config.scaling import Scaling, Way
from config.service import Resources, Rollout, Service
from config.settings import Admin, Gateway
from config.units import format_duration

CONTAINERS_ONLY = ("image", "volumes", "networks", "secrets", "resources", *confinement.KEYS)
RUN_BY_US = ("command", "image")
# What makes no sense for endpoints: Tidegate neither starts nor stops nor counts them.
NOT_FOR_ENDPOINTS = (
    *RUN_BY_US,
    "port",
    "env",
    "env_file",
    "secrets",
    "volumes",
    "networks",
    "labels",
    "resources",
    "user",
    *confinement.KEYS,
    "scaling",
    "stop_grace",
    "priority",
    "rollout",
    "depends_on",
    "group",
)


def of_service(service: Service, runtime: str | None) -> Iterator[Finding]:
    """Everything that does not fit within one service. Without a runtime: what fits none."""
    if service.endpoints:
        yield from _of_endpoints(service)
    else:
        yield from _of_what_runs(service, runtime)
    yield from _of_repeats(service)
    yield from _of_scaling(service.scaling)
    yield from of_rules(service)
    yield from _of_health(service.health)
    yield from _of_rollout(service.rollout)
    yield from _of_wake(service)


def of_routes(services: Iterable[Service]) -> Iterator[Finding]:
    """Two services that want the same requests. Seen from the services' mapping."""
    taken: dict[tuple[str, str], str] = {}
    for service in services:
        for index, host in enumerate(service.hosts):
            for path in service.paths:
                first = taken.setdefault((host, path.rstrip("/")), service.name)
                if first != service.name:
                    message = f'{host}{path} is already served by "{first}"'
                    also = ((service.name, "paths"), (first, "hosts"), (first, "paths"))
                    yield Finding((service.name, "hosts", index), message, also)


def of_fallbacks(services: Mapping[str, Service]) -> Iterator[Finding]:
    """Who answers while a service wakes: one that is there, and at last one that does itself."""
    for name, service in services.items():
        fallback, place = service.wake.fallback, (name, "wake", "fallback")
        if fallback is None:
            continue
        if fallback == name:
            yield Finding(place, "must be another service: remove it, or write null")
        elif fallback not in services:
            yield Finding(place, f'there is no service "{fallback}"')
        elif circle := _circle(name, services):
            yield Finding(place, f"leads in a circle ({' → '.join(circle)}): remove one of these")


def _circle(name: str, services: Mapping[str, Service]) -> list[str]:
    """From a service by its fallbacks back to it; empty when they lead elsewhere."""
    way = [name]
    while (service := services.get(way[-1])) and (following := service.wake.fallback):
        if following == name:
            return [*way, name]
        if following in way:
            return []
        way.append(following)
    return []


def of_listeners(gateway: Gateway, admin: Admin) -> Iterator[Finding]:
    """Two listeners on one port, or an admin API that everybody can reach."""
    before: list[str] = []
    for place, address in _listeners(gateway):
        if any(overlap(address, other) for other in before):
            yield Finding(place, f"{address} is listened on already", (("gateway", "listen"),))
        before.append(address)
        if overlap(address, admin.listen):
            yield Finding(
                ("admin", "listen"),
                f"must be another port than {_key(place)} ({address}), got {admin.listen}",
                (place[:2],),
            )
    if not admin.token_file and not is_loopback(split(admin.listen)[0]):
        yield Finding(
            ("admin", "listen"),
            f"{admin.listen} can be reached from outside: set admin.token_file, "
            "or listen on 127.0.0.1",
            (("admin", "token_file"),),
        )


def _listeners(gateway: Gateway) -> Iterator[tuple[Place, str]]:
    for index, address in enumerate(gateway.listen):
        yield ("gateway", "listen", index), address
    for index, listener in enumerate(gateway.tls):
        yield ("gateway", "tls", index, "listen"), listener.listen
    for index, listener in enumerate(gateway.tls):
        for number, address in enumerate(listener.redirect):
            yield ("gateway", "tls", index, "redirect", number), address


def _key(place: Place) -> str:
    """Of which list it is, as the file names it."""
    return "gateway.listen" if place[1] == "listen" else "gateway.tls"


def _of_endpoints(service: Service) -> Iterator[Finding]:
    for key in NOT_FOR_ENDPOINTS:
        if key in service.model_fields_set and getattr(service, key):
            yield Finding(
                (key,),
                "does not go with endpoints, which others run: remove one of the two",
                (("endpoints",),),
            )
    if service.health.liveness:
        yield Finding(
            ("health", "liveness"),
            "cannot replace endpoints, which others run: use readiness",
            (("endpoints",),),
        )
    probe = service.health.readiness
    if probe and probe.exec:
        yield Finding(
            ("health", "readiness", "exec"),
            "cannot run beside endpoints, which others run: use http or tcp",
            (("endpoints",),),
        )


def _of_what_runs(service: Service, runtime: str | None) -> Iterator[Finding]:
    if runtime == "process":
        yield from _of_process(service)
    elif runtime and service.image is None:
        message = f"is required by the {runtime} runtime, or endpoints"
        yield Finding(("image",), message, (("endpoints",),))
    for name, _ in service.env:
        if name == "PORT":
            yield Finding(("env", name), "is set by Tidegate: remove it (a container's is `port`)")
    for name, _ in service.labels:
        if name.startswith("tidegate."):
            yield Finding(("labels", name), "is one of Tidegate's own labels: choose another name")
    if service.command and not service.command[0]:
        yield Finding(("command",), "must start with a program, got an empty text")


def _of_process(service: Service) -> Iterator[Finding]:
    if not service.command and service.image is None:
        message = "is required by the process runtime, or endpoints"
        yield Finding(("command",), message, (("image",), ("endpoints",)))
    for key in CONTAINERS_ONLY:
        value = getattr(service, key)
        if key == "resources" and _is_yardstick(service):
            continue
        if value and value != Resources():
            message = 'needs a container runtime: set "runtime: docker", or remove it'
            if key == "secrets":
                message += "; a process can read the file where it is"
            also = (("scaling", "rules"),) if key == "resources" else ()
            yield Finding((key,), message, also)
    if service.scaling.idle.remove_after is not None:
        yield Finding(
            ("scaling", "idle", "remove_after"),
            "needs a container runtime: nothing is left of a process that was stopped; remove it",
        )


def _is_yardstick(service: Service) -> bool:
    """No limit for a process, but what its use is measured by."""
    return any(isinstance(rule, CpuRule | MemoryRule) for rule in service.scaling.rules)


def _of_repeats(service: Service) -> Iterator[Finding]:
    lists: tuple[tuple[str, Iterable[str]], ...] = (
        ("hosts", service.hosts),
        ("paths", service.paths),
        ("endpoints", service.endpoints),
        ("networks", service.networks),
        ("env_file", service.env_file),
        ("cap_drop", service.cap_drop),
        ("cap_add", service.cap_add),
    )
    for key, values in lists:
        yield from _repeated((key,), values, "is there twice: remove one")
    targets = {
        "secrets": [secret.target for secret in service.secrets],
        "volumes": [_target(volume) for volume in service.volumes],
        "tmpfs": [folder.partition(":")[0] for folder in service.tmpfs],
    }
    for target in _twice(chain.from_iterable(targets.values())):
        key = next(key for key, used in targets.items() if target in used)
        yield Finding((key,), f'"{target}" is used twice: choose another target')


def _repeated(place: Place, values: Iterable[str], message: str) -> Iterator[Finding]:
    for value in _twice(values):
        yield Finding(place, f'"{value}" {message}')


def _twice(values: Iterable[str]) -> list[str]:
    listed = tuple(values)
    if len(listed) < 2:
        return []
    return [value for value, times in Counter(listed).items() if times > 1]


def _target(volume: str) -> str:
    return volume.split(":")[1]


# Services share the sections that they do not change, so most answers are known already.
@lru_cache(maxsize=256)
def _of_scaling(scaling: Scaling) -> tuple[Finding, ...]:
    found = []
    low, high, first = ("scaling", "min"), ("scaling", "max"), ("scaling", "initial")
    if scaling.max < scaling.min:
        message = f"must be at least min ({scaling.min}), got {scaling.max}"
        found.append(Finding(high, message, (low,)))
    if scaling.initial > scaling.max:
        message = f"must be at most max ({scaling.max}), got {scaling.initial}"
        found.append(Finding(first, message, (high,)))
    if scaling.panic_window > scaling.stable_window:
        message = (
            f"must be at most stable_window ({format_duration(scaling.stable_window)}), "
            f"got {format_duration(scaling.panic_window)}"
        )
        found.append(Finding(("scaling", "panic_window"), message, (("scaling", "stable_window"),)))
    if not scaling.rules:
        found.append(Finding(("scaling", "rules"), "must have a rule, or be left out"))
    found.extend(_of_idle(scaling))
    for way in ("up", "down"):
        found.extend(_of_way(("scaling", way), getattr(scaling, way)))
    return tuple(found)


def _of_way(place: Place, way: Way) -> Iterator[Finding]:
    for index, step in enumerate(way.policies):
        if (step.percent is None) == (step.replicas is None):
            at = (*place, "policies", index)
            yield Finding(at, "must have either percent or replicas", ((*at, "percent"),))


def _of_idle(scaling: Scaling) -> Iterator[Finding]:
    freeze, stop = scaling.idle.freeze_after, scaling.idle.stop_after
    if freeze is not None and stop is not None and freeze >= stop:
        message = f"must be less than stop_after ({format_duration(stop)})"
        place, also = ("scaling", "idle", "freeze_after"), ("scaling", "idle", "stop_after")
        yield Finding(place, f"{message}, got {format_duration(freeze)}", (also,))


@lru_cache(maxsize=256)
def _of_health(health: Health) -> tuple[Finding, ...]:
    probes = {
        "startup": health.startup,
        "readiness": health.readiness,
        "liveness": health.liveness,
    }
    return tuple(
        finding
        for name, probe in probes.items()
        if probe is not None
        for finding in _of_probe(("health", name), probe)
    )


def _of_probe(place: Place, probe: Probe | StartupProbe) -> Iterator[Finding]:
    said = [kind for kind in KINDS if getattr(probe, kind)]
    every = tuple((*place, kind) for kind in KINDS)
    if not said:
        yield Finding(
            place, "needs one of tcp: true, http: /path, exec: [command], grpc: true", every
        )
    if len(said) > 1:
        message = f"must have only one of tcp, http, exec, grpc, got {' and '.join(said)}"
        yield Finding(place, message, every)
    if probe.port is not None and said == ["exec"]:
        yield Finding((*place, "port"), "does not go with exec: remove it", every)
    for key in OF_HTTP:
        if said and said != ["http"] and key in probe.model_fields_set:
            yield Finding((*place, key), f"does not go with {said[0]}: remove it", every)


@lru_cache(maxsize=256)
def _of_rollout(rollout: Rollout) -> tuple[Finding, ...]:
    if rollout.max_surge or rollout.max_unavailable:
        return ()
    message = "must be more than 0 while max_surge is 0: nothing could be replaced"
    also = (("rollout", "max_surge"),)
    return (Finding(("rollout", "max_unavailable"), message, also),)


def _of_wake(service: Service) -> Iterator[Finding]:
    if service.queue.size == 0 and service.scaling.min == 0 and not service.endpoints:
        message = "must be at least 1 while scaling.min is 0: the request that wakes has to wait"
        yield Finding(("queue", "size"), message, (("scaling", "min"),))
