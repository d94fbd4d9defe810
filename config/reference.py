"""The reference page of the configuration, written from the schema.

`python -m config.reference > docs/reference/config.md`
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from config.schema import json_schema

_HEAD = """\
# Configuration

Made by `python -m config.reference > docs/reference/config.md`; do not edit.

The file is `tidegate.yaml` in the working directory, or `--config FILE`, or `TIDEGATE_CONFIG`. It
is YAML 1.2: `off` and `yes` are words, not truth values. Durations are written as `250ms`, `30s`,
`5m`, `1h30m`, sizes as `64KiB` or `256MiB`, ratios as `70%`. An unknown key is an error. Keys at
the top that begin with `x-` are yours: a place for anchors. Paths start at the file's folder.
Nothing is substituted: `$PORT` reaches the process as it is.
"""
_REF = "#/$defs/"


def page() -> str:
    """The whole page as Markdown."""
    schema = json_schema()
    parts = [_HEAD, *_section("The file", schema, schema["$defs"])]
    for name, heading in _SECTIONS.items():
        parts += _section(heading, schema["$defs"][name], schema["$defs"])
    return "\n".join(parts)


_SECTIONS = {
    "Gateway": "gateway",
    "Limits": "gateway.limits",
    "TlsListener": "gateway.tls[]",
    "Certificate": "gateway.tls[].certificates[]",
    "Admin": "admin",
    "Docker": "runtime.docker",
    "Host": "host",
    "Recording": "recording",
    "Service": "services.NAME, defaults",
    "Secret": "secrets[]",
    "Resources": "resources",
    "Queue": "queue",
    "Timeouts": "timeouts",
    "Retries": "retries",
    "Scaling": "scaling",
    "ConcurrencyRule": "scaling.rules[] with `metric: concurrency`",
    "RpsRule": "scaling.rules[] with `metric: rps`",
    "LatencyRule": "scaling.rules[] with `metric: latency`",
    "QueueWaitRule": "scaling.rules[] with `metric: queue_wait`",
    "CpuRule": "scaling.rules[] with `metric: cpu`",
    "MemoryRule": "scaling.rules[] with `metric: memory`",
    "PrometheusRule": "scaling.rules[] with `metric: prometheus`",
    "JsonRule": "scaling.rules[] with `metric: json`",
    "RedisRule": "scaling.rules[] with `metric: redis`",
    "CustomRule": "scaling.rules[] with `metric: custom`",
    "Schedule": "scaling.rules[] with `schedule`",
    "Way": "scaling.up, scaling.down",
    "Step": "scaling.up.policies[], scaling.down.policies[]",
    "Idle": "scaling.idle",
    "Ignored": "scaling.idle.ignore",
    "StaticAnswer": "scaling.idle.ignore.answer",
    "WakeAnswers": "wake",
    "Needed": "depends_on.NAME",
    "Health": "health",
    "StartupProbe": "health.startup",
    "Probe": "health.readiness, health.liveness",
    "Outliers": "health.outliers",
    "Rollout": "rollout",
}


def _section(heading: str, schema: Mapping[str, Any], definitions: Any) -> Iterator[str]:
    yield f"## {heading}\n"
    yield f"{schema['description']}\n"
    yield "| key | value | default | |\n|---|---|---|---|"
    required = schema.get("required", ())
    for key, entry in schema["properties"].items():
        default = "required" if key in required else _default(entry)
        text = entry.get("description", "")
        yield f"| `{key}` | {_kind(entry, definitions)} | {default} | {text} |"
    yield ""


def _default(entry: Mapping[str, Any]) -> str:
    value = entry.get("default")
    if value is None or isinstance(value, dict) or value == []:
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _kind(entry: Mapping[str, Any], definitions: Any) -> str:
    """What may be written there, in a few words."""
    if "$ref" in entry:
        return f"[{_heading(entry)}](#{_anchor(_heading(entry))})"
    if "enum" in entry:
        return ", ".join(f"`{word}`" for word in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`"
    if "anyOf" in entry:
        kinds = [_kind(choice, definitions) for choice in entry["anyOf"]]
        return " or ".join(dict.fromkeys(kinds))
    if "pattern" in entry:
        return _by_pattern(entry["pattern"])
    if entry.get("type") == "array":
        return f"list of {_kind(entry['items'], definitions)}"
    return _TYPES.get(entry.get("type", ""), "mapping") + _bounds(entry)


_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
}


def _by_pattern(pattern: str) -> str:
    if "ms|s|m|h" in pattern:
        return "duration"
    if "%" not in pattern:
        return "size"
    return "size or ratio" if "B" in pattern else "ratio"


def _bounds(entry: Mapping[str, Any]) -> str:
    if "maximum" in entry:
        return f" ({entry['minimum']} to {entry['maximum']})"
    if "minimum" in entry:
        return f" (from {entry['minimum']})"
    return f" (more than {entry['exclusiveMinimum']:g})" if "exclusiveMinimum" in entry else ""


def _heading(entry: Mapping[str, Any]) -> str:
    return _SECTIONS[entry["$ref"].removeprefix(_REF)]


def _anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    kept = (letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(page())
