"""Durations, sizes and ratios as people write them, and back.

Pure. Inside Tidegate a duration is a float in seconds, a size an int in bytes, a ratio a float
where 1.0 is 100 %. Writing and reading again gives the same number, to the last bit.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from config.wording import shown

LONGEST = 365 * 86400.0  # seconds; far above any sensible wait, far below any clock's limits
LARGEST = 2**63 - 1  # bytes

_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{1,30})?"
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|s|m|h)")
DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h))+")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_SIZE = re.compile(rf"({_NUMBER})\s*(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?")
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
_RATIO = re.compile(rf"({_NUMBER})\s*%")


class Written(float):
    """A decimal number as it stood in a file: never mistaken for seconds or a ratio of our own."""


def parse_duration(value: object) -> float:
    """Seconds from `250ms`, `30s`, `1h30m` or 0. Raises ValueError for anything else."""
    if isinstance(value, str) and DURATION.fullmatch(value):
        parts = _DURATION_PART.findall(value)
        seconds = float(sum(Decimal(number) * _SECONDS[unit] for number, unit in parts))
        if seconds > LONGEST:
            raise ValueError(f"must be at most {format_duration(LONGEST)}, got {shown(value)}")
        return seconds
    if value == 0 and type(value) is int:
        return 0.0
    raise ValueError(f"must be a duration such as 250ms, 30s, 5m or 1h, got {shown(value)}")


def parse_size(value: object) -> int:
    """Bytes from `64KiB`, `256MiB` or a plain count. Raises ValueError for anything else."""
    size = -1
    if type(value) is int:
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        size = round(Decimal(match[1]) * _BYTES[match[2]])
    if size < 0:
        raise ValueError(f"must be a size such as 64KiB or 256MiB, got {shown(value)}")
    if size > LARGEST:
        raise ValueError(f"must be less than 8388608TiB, got {shown(value)}")
    return size


def parse_ratio(value: object) -> float:
    """A ratio from `70%`. Raises ValueError for anything else."""
    if isinstance(value, str) and (match := _RATIO.fullmatch(value.strip())):
        return float(Decimal(match[1]).scaleb(-2))
    raise ValueError(f"must be a ratio such as 70%, got {shown(value)}")


def parse_share(value: object) -> float | int:
    """A count, or a ratio from `25%`. Raises ValueError for anything else."""
    if type(value) is int and value >= 0:
        return value
    if type(value) is float:
        return value
    if isinstance(value, str) and _RATIO.fullmatch(value.strip()):
        return parse_ratio(value)
    raise ValueError(f"must be a count such as 1 or a ratio such as 25%, got {shown(value)}")


def format_duration(seconds: float) -> str:
    """The shortest exact spelling: 0.25 -> 250ms, 90 -> 90s, 3600 -> 1h."""
    exact = Decimal(repr(seconds))
    if exact % 1:
        return f"{_plain(exact * 1000)}ms"
    for unit in ("h", "m"):
        if exact and exact % _SECONDS[unit] == 0:
            return f"{_plain(exact / _SECONDS[unit])}{unit}"
    return f"{_plain(exact)}s"


def format_size(size: int) -> str:
    """The shortest exact spelling in powers of 1024: 65536 -> 64KiB, 1000 -> 1000B."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def format_ratio(ratio: float) -> str:
    """0.7 -> 70%."""
    return f"{_plain(Decimal(repr(ratio)).scaleb(2))}%"


def format_share(share: float | int) -> str | int:
    """A count as it is, a ratio as a percentage."""
    return share if isinstance(share, int) else format_ratio(share)


def at_least(least: float, form: Callable[[float], str] = format_duration) -> AfterValidator:
    """Refuses a duration (or a ratio, by `form`) below `least`."""

    def check(value: float) -> float:
        if value < least:
            raise ValueError(f"must be at least {form(least)}, got {form(value)}")
        return value

    return AfterValidator(check)


def at_most(most: float, form: Callable[[float], str] = format_duration) -> AfterValidator:
    """Refuses a duration (or a ratio, by `form`) above `most`."""

    def check(value: float) -> float:
        if value > most:
            raise ValueError(f"must be at most {form(most)}, got {form(value)}")
        return value

    return AfterValidator(check)


def above_one(ratio: float) -> float:
    """Refuses a ratio of 100 % or less."""
    if ratio <= 1:
        raise ValueError(f"must be more than 100%, got {format_ratio(ratio)}")
    return ratio


def above_zero(value: float) -> float:
    """Refuses a duration of nothing."""
    if value == 0:
        raise ValueError("must be more than 0, got 0s")
    return value


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


# A float passes through untouched: it is our own, already in seconds (defaults, model copies).
def _duration(value: object) -> object:
    return value if type(value) is float else parse_duration(value)


def _ratio(value: object) -> object:
    return value if type(value) is float else parse_ratio(value)


_NUMBER_SCHEMA = r"[0-9]{1,20}(\.[0-9]{1,30})?"
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^({_NUMBER_SCHEMA}(ms|s|m|h))+$"},
                {"const": 0},
            ]
        }
    ),
]
MEMORY_SCHEMA = rf"^{_NUMBER_SCHEMA}\s*([KMGT]i?B|kB|B|%)?$"
Positive = Annotated[Duration, AfterValidator(above_zero)]
Window = Annotated[Duration, at_least(1.0)]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^{_NUMBER_SCHEMA}\s*([KMGT]i?B|kB|B)?$"},
                {"type": "integer", "minimum": 0},
            ]
        }
    ),
]
_RATIO_SCHEMA: dict[str, object] = {"type": "string", "pattern": rf"^{_NUMBER_SCHEMA}\s*%$"}
Ratio = Annotated[
    float,
    BeforeValidator(_ratio),
    PlainSerializer(format_ratio, return_type=str),
    WithJsonSchema(_RATIO_SCHEMA),
]
Share = Annotated[
    float | int,
    BeforeValidator(parse_share),
    PlainSerializer(format_share),
    WithJsonSchema({"anyOf": [_RATIO_SCHEMA, {"type": "integer", "minimum": 0}]}),
]
