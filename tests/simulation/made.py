"""Traffic made by hand, and files of lines."""

from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

from simulation.traffic import Arrival, Traffic

DATA = Path(__file__).with_name("data")


def traffic(
    arrivals: Iterable[Arrival],
    seconds: float = 100.0,
    services: tuple[str, ...] = ("a", "b"),
    memory: tuple[float, ...] = (),
) -> Traffic:
    listed = sorted(arrivals)
    return Traffic(services, seconds, lambda: iter(listed), memory)


def written(folder: Path, *lines: str, name: str = "trace") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def moments(traffic: Traffic) -> list[float]:
    return [at for at, _, _ in traffic.arrivals()]


def any_traffic(seconds: float = 100.0) -> st.SearchStrategy[Traffic]:
    """Of two services; moments in eighths of a second, so that sums and differences are exact."""
    eighths = st.integers(0, int(seconds * 8) - 1).map(lambda number: number / 8)
    arrival = st.tuples(eighths, st.integers(0, 9).map(float), st.integers(0, 1))
    return st.lists(arrival, max_size=40).map(lambda arrivals: traffic(arrivals, seconds))
