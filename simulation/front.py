"""Which of many are worth a choice: those that no other beats in both of two numbers.

Pure.
"""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def front(points: Iterable[tuple[float, float, T]]) -> list[tuple[float, float, T]]:
    """The Pareto front, least first number first; of equal points the first one."""
    found: list[tuple[float, float, T]] = []
    for point in sorted(points, key=lambda point: point[:2]):
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return found


def thinned(points: list[T], most: int) -> list[T]:
    """So many of them, evenly, both ends among them."""
    if len(points) <= most:
        return points
    return [points[round(at * (len(points) - 1) / (most - 1))] for at in range(most)]
