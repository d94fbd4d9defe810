"""Durations, sizes and ratios as people write them, and back.

Pure. Inside Tidegate a duration is a float in seconds, a size an int in bytes, a ratio a float
where 1.0 is 100 %.
"""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?")
_BYTES = {
    None: 1,
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
_SIZE_SCHEMA = r"^\d+(\.\d+)?\s*([KMGT]i?B|kB|B)?$"
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def parse_duration(value: object) -> float:
    """Seconds from `250ms`, `30s`, `1h30m` or 0. Raises ValueError for anything else."""
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(value))
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError(f"must be a duration such as 250ms, 30s, 5m or 1h, got {_shown(value)}")


def parse_size(value: object) -> int:
    """Bytes from `64KiB`, `256MiB` or a plain count. Raises ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return round(float(match[1]) * _BYTES[match[2]])
    raise ValueError(f"must be a size such as 64KiB or 256MiB, got {_shown(value)}")


def parse_ratio(value: object) -> float:
    """A ratio from `70%`. Raises ValueError for anything else."""
    if isinstance(value, str) and (match := _RATIO.fullmatch(value.strip())):
        return float(match[1]) / 100
    raise ValueError(f"must be a ratio such as 70%, got {_shown(value)}")


def format_duration(seconds: float) -> str:
    """The shortest exact spelling: 0.25 -> 250ms, 90 -> 90s, 3600 -> 1h."""
    if seconds and not math.isclose(seconds, round(seconds)):
        return f"{seconds * 1000:g}ms"
    whole = round(seconds)
    for unit, length in (("h", 3600), ("m", 60)):
        if whole and whole % length == 0:
            return f"{whole // length}{unit}"
    return f"{whole}s"


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def _duration(value: object) -> object:
    return value if isinstance(value, float) else parse_duration(value)


def _ratio(value: object) -> object:
    return value if isinstance(value, float) else parse_ratio(value)


# A float passes through untouched: it is our own, already in seconds (defaults, model copies).
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^(\d+(\.\d+)?(ms|s|m|h))+$"}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "pattern": _SIZE_SCHEMA}),
]
Ratio = Annotated[
    float,
    BeforeValidator(_ratio),
    PlainSerializer(lambda value: f"{value * 100:g}%", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}),
]
