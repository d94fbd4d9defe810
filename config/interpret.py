"""From the values of a document to what they mean, with every finding on the way.

A part that is wrong is left out and the rest is checked all the same, so that one look shows all;
what would only be the echo of another finding is not said.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from config import checks, exposure, links, stability
from config.addresses import SERVICE_NAME
from config.disk import Disk
from config.errors import Finding, Place
from config.fields import Model
from config.merging import Defaults
from config.service import Service
from config.settings import File, Runtime
from config.unsupported import refused
from config.wording import UNKNOWN_KEY, explain, shown

M = TypeVar("M", bound=Model)
_SECTIONS = ("gateway", "admin", "host", "recording", "defaults", "services")
_LARGEST = 100
_NAME = 'must be made of a-z, 0-9 and "-" (neither first nor last), at most 63 of them'


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the file says; to be used only when there are no findings. Warnings are findings that it
    can be used with."""

    file: File
    services: dict[str, Service]
    findings: list[Finding]
    warnings: list[Finding] = field(default_factory=list)


def interpret(value: Any, disk: Disk) -> Meaning:
    """The meaning of a document's value."""
    if not isinstance(value, Mapping):
        what = "is empty" if value is None else f"must be a mapping at the top, got {shown(value)}"
        return Meaning(File(), {}, [Finding((), f"the file {what}: it needs `services`")])
    raw = _without_extensions(value)
    findings = refused(raw)
    file, wrong = _validated(File, _pruned(raw, findings))
    findings += wrong
    broken = _places(findings)
    findings += _sound(checks.of_listeners(file.gateway, file.admin), broken)
    if file.admin.token_file:
        place: Place = ("admin", "token_file")
        disk.warn_if_shared(disk.present(file.admin.token_file, place), place)
    disk.check_certificates(file.gateway, ("gateway",))
    findings += disk.take()
    if not file.services and ("services",) not in broken:
        findings.append(Finding(("services",), "no services: write at least one"))
    runtime = None if any(place[0] == "runtime" for place in broken) else runtime_of(file.runtime)
    services = _Services(file, runtime, disk)
    services.read()
    warnings = disk.take_warnings() + services.warnings
    if not findings and not services.findings:
        warnings += stability.of_host(file.host, services.found.values())
    if runtime == "docker" and file.runtime.docker:
        warnings += exposure.of_runtime(file.runtime.docker)
    return Meaning(file, services.found, findings + services.findings, warnings)


def runtime_of(runtime: Runtime) -> str:
    """The name of the runtime."""
    return "docker" if runtime.docker is not None else "process"


class _Services:
    """Reads all services of a file."""

    def __init__(self, file: File, runtime: str | None, disk: Disk) -> None:
        self.found: dict[str, Service] = {}
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self._file = file
        self._runtime = runtime
        self._disk = disk
        self._broken: set[Place] = set()
        self._equals = _Equals()

    def read(self) -> None:
        defaults = self._defaults()
        for name, value in self._file.services.items():
            self._service(name, value, defaults)
        routes = _sound(checks.of_routes(self.found.values()), self._broken)
        self.findings += [finding.inside("services") for finding in routes]
        between = _sound(links.of_links(self.found, self._file.services), self._broken)
        self.findings += [finding.inside("services") for finding in between]
        fallbacks = _sound(checks.of_fallbacks(self.found), self._broken)
        self.findings += [finding.inside("services") for finding in fallbacks]

    def _defaults(self) -> Defaults:
        raw, findings = _own(self._file.defaults)
        checked, wrong = _validated(Service, raw)
        findings += wrong
        self.findings += [finding.inside("defaults") for finding in findings]
        return Defaults(_pruned(raw, findings), checked, _places(findings))

    def _service(self, name: str, value: Any, defaults: Defaults) -> None:
        if not SERVICE_NAME.fullmatch(name):
            self.findings.append(Finding(("services", name), _NAME))
        if value is not None and not isinstance(value, Mapping):
            message = f"must be a mapping, got {shown(value)}"
            self.findings.append(Finding(("services", name), message))
        else:
            self._read(name, value or {}, defaults)

    def _read(self, name: str, value: Mapping[str, Any], defaults: Defaults) -> None:
        named = name if SERVICE_NAME.fullmatch(name) else "unnamed"
        raw, findings = _own(value)
        values = defaults.under(raw, named)
        service, wrong = _validated(Service, self._equals.known(values))
        findings += wrong
        if not wrong:
            self._equals.learn(values, service)
        broken = _places(findings) | defaults.broken
        findings += _sound(checks.of_service(service, self._runtime), broken)
        self.found[named] = self._disk.settle(service)
        findings += self._disk.take()
        self.findings += [defaults.blame(finding, name, value) for finding in findings]
        if not broken:
            unwise = (
                *stability.of_service(service, self._runtime),
                *exposure.of_service(self.found[named], self._file.admin.listen),
            )
            self.warnings += [defaults.blame(finding, name, value) for finding in unwise]
        self._broken.update((named, *place) for place in broken)


class _Equals:
    """Sections that were written the same way before are the same object, checked once."""

    def __init__(self) -> None:
        self._checked: dict[tuple[str, str], Model] = {}

    def known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        tokens = _tokens(values)
        return {key: self._checked.get((key, tokens.get(key, "")), values[key]) for key in values}

    def learn(self, values: Mapping[str, Any], service: Service) -> None:
        for key, token in _tokens(values).items():
            checked = getattr(service, key)
            if isinstance(checked, Model):
                self._checked.setdefault((key, token), checked)


def _tokens(values: Mapping[str, Any]) -> dict[str, str]:
    """How its sections are written. None that is large: aliases of aliases never end."""
    return {
        key: repr(value)
        for key, value in values.items()
        if isinstance(value, Mapping) and _count(value, _LARGEST) > 0
    }


def _count(value: Any, left: int) -> int:
    """What is left after counting everything inside; 0 or less when it is too much."""
    inner = value.values() if isinstance(value, Mapping) else value
    if left > 0 and isinstance(value, Mapping | list):
        for item in inner:
            left = _count(item, left - 1)
            if left <= 0:
                break
    return left


def _own(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Finding]]:
    """The keys that are one service's own to say; its name is not."""
    if "name" not in raw:
        return raw, []
    findings = [Finding(("name",), UNKNOWN_KEY)]
    return _pruned(raw, findings), findings


def _validated(model: type[M], raw: Mapping[str, Any]) -> tuple[M, list[Finding]]:
    """The model of all that is right in `raw`, and what is not."""
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        findings = explain(error, raw)
    rest = _pruned(raw, findings)
    if rest == raw:
        return model(), findings
    value, more = _validated(model, rest)
    return value, findings + more


def _without_extensions(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without the x- keys, which hold anchors as in Compose; an empty section is no section."""
    return {
        key: {} if item is None and key in _SECTIONS else item
        for key, item in value.items()
        if not key.startswith("x-")
    }


def _pruned(raw: Mapping[str, Any], findings: Iterable[Finding]) -> Mapping[str, Any]:
    for finding in findings:
        raw = _without(raw, _cut(finding.place))
    return raw


def _without(raw: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    key, rest = str(place[0]), place[1:]
    inner = raw.get(key)
    if key not in raw:
        return raw
    if rest and isinstance(inner, Mapping):
        return {**raw, key: _without(inner, rest)}
    return {other: value for other, value in raw.items() if other != key}


def _cut(place: Place) -> Place:
    """A list is wrong as a whole: without one item, the others would change their places."""
    for depth, part in enumerate(place):
        if isinstance(part, int):
            return place[:depth]
    return place


def _places(findings: Iterable[Finding]) -> set[Place]:
    return {_cut(finding.place) for finding in findings}


def _sound(findings: Iterable[Finding], broken: set[Place]) -> Iterator[Finding]:
    """Those that measured nothing broken."""
    for finding in findings:
        measured = (finding.place, *finding.also)
        if not broken or not any(_is_broken(place, broken) for place in measured):
            yield finding


def _is_broken(place: Place, broken: set[Place]) -> bool:
    return any(place[:depth] in broken for depth in range(1, len(place) + 1))
