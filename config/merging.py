"""A service with the defaults of the file under it.

Pure. Mappings are merged key by key, everything else is replaced. What excludes each other does
not meet: a service that probes by http does not inherit tcp, one with endpoints no command.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from config.checks import NOT_FOR_ENDPOINTS, RUN_BY_US
from config.errors import Finding, Place
from config.fields import Model
from config.health import ENDPOINTS_READINESS, KINDS, OF_HTTP, Health
from config.service import Service

Sections = dict[str, Any]


def _sections(model: type[Model]) -> Sections:
    """Which keys hold mappings of the schema, and which of those again."""
    found: Sections = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        choices = (kind, *get_args(kind)) if get_origin(kind) is not tuple else ()
        for choice in choices:
            if isinstance(choice, type) and issubclass(choice, Model):
                found[name] = _sections(choice)
    return found


_SERVICE: Sections = {**_sections(Service), "env": {}, "labels": {}}


class Defaults:
    """The checked defaults. Services share those sections that they leave alone."""

    def __init__(
        self, raw: Mapping[str, Any], checked: Service, broken: Iterable[Place] = ()
    ) -> None:
        self.broken = frozenset(broken)
        self._raw = raw
        self._values = {key: getattr(checked, key) for key in raw}
        self._for_endpoints = _without(self._values, NOT_FOR_ENDPOINTS)

    def under(self, raw: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The service of that name as if it had been written out whole."""
        values = {**self._applying(raw), **raw, "name": name}
        for key in self._raw:
            if key in raw and key in _SERVICE:
                values[key] = _merged(self._raw[key], raw[key], _SERVICE[key])
        if not raw.get("hosts") and not self._raw.get("hosts"):
            values["hosts"] = (f"{name}.localhost",)
        if raw.get("endpoints") or self._raw.get("endpoints"):
            values["health"] = _with_readiness(values.get("health"))
        return values

    def blame(self, finding: Finding, name: str, raw: Mapping[str, Any]) -> Finding:
        """The finding of a service at what is to be changed: its own text or the defaults."""
        key = finding.place[0]
        if key in raw or key not in self._raw:
            return finding.inside("services", name)
        return finding.inside("defaults")

    def _applying(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        if raw.get("endpoints"):
            return self._for_endpoints
        if any(raw.get(key) for key in RUN_BY_US):
            return _without(self._values, ("endpoints",))
        return self._values


def _merged(base: Any, over: Any, sections: Sections) -> Any:
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    if any(kind in over for kind in KINDS):
        base = _without(base, KINDS if over.get("http") else (*KINDS, *OF_HTTP))
    merged = {**base, **over}
    for key, inner in sections.items():
        if key in base and key in over:
            merged[key] = _merged(base[key], over[key], inner)
    return merged


def _with_readiness(health: Any) -> Any:
    """Nobody else says whether an endpoint can be used, so it is always probed."""
    if health is None:
        return {"readiness": ENDPOINTS_READINESS}
    if isinstance(health, Mapping):
        return {"readiness": ENDPOINTS_READINESS, **health}
    if isinstance(health, Health) and "readiness" not in health.model_fields_set:
        return health.model_copy(update={"readiness": ENDPOINTS_READINESS})
    return health


def _without(values: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}
