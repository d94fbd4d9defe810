"""Medians of the rounds, as they are and beside the first proxy of the run (nginx if it runs)."""

import statistics
from collections.abc import Sequence

from loadtests.peers.held import Grown
from loadtests.peers.measure import Reading
from loadtests.report import print_table

HEADER = ("", "req/s", "p50 µs", "p99 µs", "CPU µs/req", "RSS MiB", "PSS MiB", "failed")
RATIOS = ("rate", "p50", "p99", "cpu", "rss")
YARDSTICK = "nginx"


def medians(readings: Sequence[Reading]) -> dict[str, float]:
    values = [one.values() for one in readings]
    return {key: statistics.median(value[key] for value in values) for key in values[0]}


def ratios(readings: Sequence[Reading], to: Sequence[Reading]) -> dict[str, float]:
    """The median of the rounds' ratios: a machine that slows down slows both."""
    pairs = [(a.values(), b.values()) for a, b in zip(readings, to, strict=True)]
    return {
        key: round(statistics.median(a[key] / b[key] for a, b in pairs if b[key]), 3)
        for key in RATIOS
        if any(b[key] for _, b in pairs)
    }


def show(read: dict[str, list[Reading]]) -> dict[str, dict[str, dict[str, float]]]:
    """Print one case, and return it as it goes into the results."""
    yardstick = YARDSTICK if YARDSTICK in read else next(iter(read))
    told = {
        name: {"median": medians(readings), "ratio": ratios(readings, read[yardstick])}
        for name, readings in read.items()
    }
    ratio_names = tuple(f"{key}/{yardstick}" for key in RATIOS)
    print_table(HEADER + ratio_names, [_row(name, **one) for name, one in told.items()])
    return told


def show_grown(grown: dict[str, list[Grown]]) -> dict[str, dict[str, float]]:
    """The same for held connections."""
    yardstick = YARDSTICK if YARDSTICK in grown else next(iter(grown))
    one = statistics.median(each.each for each in grown[yardstick])
    told = {name: _memory(rounds, one) for name, rounds in grown.items()}
    header = ("", "before MiB", "most MiB", "grown MiB", "KiB each", f"each/{yardstick}")
    print_table(header, [(name, *values.values()) for name, values in told.items()])
    return told


def _memory(rounds: Sequence[Grown], one: float) -> dict[str, float]:
    before = statistics.median(each.before for each in rounds) / 1024
    most = statistics.median(each.most for each in rounds) / 1024
    each = statistics.median(each.each for each in rounds)
    return {
        "before_mib": round(before, 1),
        "most_mib": round(most, 1),
        "grown_mib": round(most - before, 1),
        "each_kib": round(each, 2),
        "ratio": round(each / one, 2) if one else 0.0,
    }


def _row(name: str, median: dict[str, float], ratio: dict[str, float]) -> tuple[object, ...]:
    values = (
        f"{median['rate']:.0f}",
        f"{median['p50']:.0f}",
        f"{median['p99']:.0f}",
        f"{median['cpu']:.1f}",
        f"{median['rss'] / 1024:.1f}",
        f"{median['pss'] / 1024:.1f}",
        f"{median['failed']:.0f}",
    )
    return name, *values, *(f"{ratio[key]:.2f}" if key in ratio else "-" for key in RATIOS)
