"""The JSON Schema of the file, for editors and for `tidegate schema`.

Pure: made from the models, so it cannot drift from them. It knows the runtimes that are not
supported yet as well; what no key can know alone is left to `tidegate check`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from config.addresses import SERVICE_NAME
from config.errors import Place
from config.fields import Model
from config.service import Service
from config.settings import RUNTIMES, File
from config.unsupported import LATER_RUNTIMES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/"


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of tidegate.yaml."""
    _, made = models_json_schema(
        [(File, "validation"), (Service, "validation")], ref_template=_REF + "{model}"
    )
    definitions: dict[str, Any] = made["$defs"]
    for model in _models(File) | _models(Service):
        _settle(definitions[model.__name__], model)
    file = definitions.pop("File")
    _complete(file["properties"], definitions)
    return {
        "$schema": DIALECT,
        "title": "Tidegate configuration",
        "description": f"tidegate.yaml. Keys at the top: {', '.join(file['properties'])}.",
        **{key: file[key] for key in ("type", "additionalProperties", "properties")},
        "patternProperties": {"^x-": {"description": "Yours: a place for YAML anchors."}},
        "required": ["services"],
        "$defs": definitions,
    }


def keys_at(place: Place) -> list[str]:
    """The keys that a mapping at that place of the file may have."""
    schema = _whole()
    keys: set[str] = set()
    for node in _nodes(schema, list(place), schema["$defs"]):
        keys.update(node.get("properties", {}))
    return sorted(keys)


@cache
def _whole() -> dict[str, Any]:
    return json_schema()


def _models(model: type[Model]) -> set[type[Model]]:
    """The model and all that it is made of."""
    found = {model}
    for field in model.model_fields.values():
        for inner in _inner(field.annotation):
            found |= _models(inner)
    return found


def _inner(annotation: Any) -> set[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return {annotation}
    parts = getattr(annotation, "__args__", ())
    return {model for part in parts for model in _inner(part)}


def _settle(schema: dict[str, Any], model: type[Model]) -> None:
    """Defaults as they would be written, and no titles that only repeat the key."""
    written = model.model_construct().model_dump(mode="json")
    for name, entry in schema["properties"].items():
        entry.pop("title", None)
        # Pydantic leaves it out where it repeats the model's own.
        if text := model.model_fields[name].description:
            entry.setdefault("description", text)
        if "default" in entry and name in written:
            entry["default"] = written[name]
    schema.pop("title", None)


def _complete(file: dict[str, Any], definitions: dict[str, Any]) -> None:
    """What the models leave open: the services, and the runtimes that are not supported yet."""
    definitions["Service"]["properties"].pop("name")
    service = {"$ref": f"{_REF}Service"}
    file["services"] |= {
        "additionalProperties": service,
        "propertyNames": {"pattern": f"^{SERVICE_NAME.pattern}$"},
        "minProperties": 1,
    }
    file["services"].pop("default", None)
    file["defaults"] = {**service, "description": file["defaults"]["description"]}
    file["runtime"] = _runtime(definitions.pop("Runtime"), file["runtime"]["description"])


def _runtime(mapping: Mapping[str, Any], description: str) -> dict[str, Any]:
    names = {"enum": [*RUNTIMES, *LATER_RUNTIMES]}
    return {"anyOf": [names, mapping], "default": "process", "description": description}


def _nodes(node: dict[str, Any], place: list[str | int], definitions: Any) -> list[dict[str, Any]]:
    """Every schema that applies at a place."""
    if "$ref" in node:
        return _nodes(definitions[node["$ref"].removeprefix(_REF)], place, definitions)
    choices = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    if choices:
        return [found for choice in choices for found in _nodes(choice, place, definitions)]
    if not place:
        return [node]
    first, *rest = place
    inner = node.get("properties", {}).get(first, node.get("additionalProperties"))
    if isinstance(first, int):
        inner = node.get("items")
    return _nodes(inner, rest, definitions) if isinstance(inner, dict) else []
