"""How much longer requests take when a replica has several at once.

Pure. Measured points, straight lines between them, and beyond the last one the line goes on.
"""

from bisect import bisect_left
from dataclasses import dataclass

from config.wording import shown

_FORM = 'write NUMBER:TIMES, as in "1:1, 4:1.5, 16:6"'


@dataclass(frozen=True, slots=True)
class Measured:
    """`points`: requests at once, and how many times longer each then takes; at least one."""

    points: tuple[tuple[float, float], ...]

    def __call__(self, at_once: int) -> float:
        points = self.points
        after = bisect_left(points, (at_once, 0.0))
        if after < len(points) and points[after][0] == at_once:
            return points[after][1]
        if after == 0 or len(points) == 1:
            return points[0][1]
        last = min(after, len(points) - 1)
        (low, before), (high, then) = points[last - 1], points[last]
        return max(before, before + (then - before) * (at_once - low) / (high - low))


def slowdown(text: str) -> Measured:
    """From `1:1, 4:1.5`: four at once take one and a half times as long. Raises ValueError."""
    points = tuple(sorted(_point(text, part) for part in text.split(",")))
    if len({number for number, _ in points}) < len(points):
        raise ValueError(f"{shown(text)} names a number of requests twice: keep one")
    return Measured(points)


def _point(text: str, part: str) -> tuple[float, float]:
    number, _, times = part.partition(":")
    try:
        point = float(int(number)), float(times)
    except ValueError:
        raise ValueError(f"{shown(text)}: {_FORM}, got {shown(part.strip())}") from None
    if point[0] < 1 or not 0 < point[1] < 1e6:
        raise ValueError(
            f"{shown(text)}: requests at once are at least 1, times more than 0; {_FORM}"
        )
    return point
