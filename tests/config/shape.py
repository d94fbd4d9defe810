"""Validates a value by the part of JSON Schema 2020-12 that our schema uses.

An unknown keyword is an error, so that nothing in the schema goes unchecked.
"""

import re
from typing import Any

_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}
_SILENT = {"$schema", "title", "description", "default", "$defs"}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> list[str]:
    """Where and by which keyword the value does not fit."""
    found: list[str] = []
    for keyword, rule in schema.items():
        if keyword in _SILENT:
            continue
        if keyword == "$ref":
            found += faults(value, root["$defs"][rule.removeprefix("#/$defs/")], root, at)
        elif keyword in ("anyOf", "oneOf"):
            fitting = [choice for choice in rule if not faults(value, choice, root, at)]
            if len(fitting) != 1 if keyword == "oneOf" else not fitting:
                found.append(f"{at}: {keyword}")
        elif keyword in ("properties", "patternProperties", "additionalProperties", "items"):
            found += _inner(value, keyword, schema, root, at)
        elif not _fits(value, keyword, rule):
            found.append(f"{at}: {keyword} {rule}")
    return found


def _inner(value: Any, keyword: str, schema: dict[str, Any], root: Any, at: str) -> list[str]:
    found: list[str] = []
    if keyword == "items" and isinstance(value, list):
        for index, item in enumerate(value):
            found += faults(item, schema["items"], root, f"{at}[{index}]")
    if keyword == "items" or not isinstance(value, dict):
        return found
    for key, item in value.items():
        named = schema.get("properties", {}).get(key)
        matched = [
            rule for p, rule in schema.get("patternProperties", {}).items() if re.search(p, key)
        ]
        if keyword == "properties" and named is not None:
            found += faults(item, named, root, f"{at}.{key}")
        if keyword == "patternProperties":
            found += [
                fault for rule in matched for fault in faults(item, rule, root, f"{at}.{key}")
            ]
        if keyword == "additionalProperties" and named is None and not matched:
            rest = schema["additionalProperties"]
            unknown = [f"{at}.{key}: unknown"]
            found += unknown if rest is False else faults(item, rest, root, f"{at}.{key}")
    return found


def _fits(value: Any, keyword: str, rule: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match keyword:
        case "type":
            if isinstance(value, bool) and rule != "boolean":
                return False
            return isinstance(value, _KINDS[rule])
        case "const":
            return bool(value == rule and type(value) is type(rule))
        case "enum":
            return value in rule
        case "pattern":
            return not isinstance(value, str) or bool(re.search(rule, value))
        case "propertyNames":
            return not isinstance(value, dict) or all(re.search(rule["pattern"], k) for k in value)
        case "required":
            return not isinstance(value, dict) or all(key in value for key in rule)
        case "minimum":
            return not number or value >= rule
        case "maximum":
            return not number or value <= rule
        case "exclusiveMinimum":
            return not number or value > rule
        case "exclusiveMaximum":
            return not number or value < rule
        case "minLength":
            return not isinstance(value, str) or len(value) >= rule
        case "minItems":
            return not isinstance(value, list) or len(value) >= rule
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= rule
        case "discriminator":
            return True
    raise AssertionError(f"the keyword {keyword} is not checked")
