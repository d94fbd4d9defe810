"""Access logs in the Common and the Combined format of Apache and nginx.

A line may begin with `host:port` of the virtual host (Apache's vhost_combined): each host is then a
service of its own. It may end with nginx's `$request_time`, which holds seconds with a point: a
line is written when its request ends, so that the request came that much earlier, and that is how
long it took. What else a line ends with is left alone.

The log counts whole seconds: the requests of one second are spread in it, in their order.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.distributions import Distribution
from simulation.recorded import UNKNOWN, Recorded
from simulation.traces import names, times
from simulation.traces.source import TraceError, lines
from simulation.traffic import Dice, Traffic

if TYPE_CHECKING:
    import random

_SECOND = 1_000_000  # microseconds
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(
    r"(?:(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5} )?"
    rf"\S+ \S+ (?:{_QUOTED}|\S+) \[(?P<at>[^\]]+)\] {_QUOTED} [0-9]{{3}} (?:[0-9]+|-)"
    rf"(?: {_QUOTED} {_QUOTED})?"
    r"(?:.* (?P<took>[0-9]{1,9}\.[0-9]{1,9}))?"
)
_EXPECTED = 'expected CLIENT - USER [TIME] "REQUEST" STATUS SIZE'
_Request = tuple[str, str, float]  # the time as it stands there, the service, seconds or UNKNOWN


def read(
    path: Path, dice: Dice, work: Distribution, name: str = "web", evenly: bool = False
) -> Traffic:
    """`work` is for requests without a duration, `name` for those without a virtual host.

    Raises TraceError.
    """
    recorded = Recorded()
    rng = dice()
    for text, group in groupby(_requests(path, name), key=lambda request: request[0]):
        requests = list(group)
        second = times.logged_second(text)
        parts = _parts(len(requests), None if evenly else rng)
        for (_, service, took), part in zip(requests, parts, strict=True):
            before = 0.0 if took != took else took
            recorded.add(second + round((part - before) * _SECOND), service, took)
    if not recorded:
        raise TraceError(path, None, "holds no request")
    return recorded.traffic(work, dice)


def is_line(text: str) -> bool:
    return _LINE.match(text) is not None


def _requests(path: Path, name: str) -> Iterator[_Request]:
    service_of = names.by_text()
    for number, text in lines(path):
        match = _LINE.match(text)
        if not match:
            raise TraceError(path, number, f"is no line of an access log: {_EXPECTED}")
        try:
            times.logged_second(match["at"])
        except ValueError as error:
            raise TraceError(path, number, str(error)) from None
        took = float(match["took"]) if match["took"] else UNKNOWN
        yield match["at"], service_of(match["host"]) if match["host"] else name, took


def _parts(count: int, rng: "random.Random | None") -> list[float]:
    """Where in their second so many requests lie, in order."""
    if rng is None:
        return [(number + 0.5) / count for number in range(count)]
    return sorted(rng.random() for _ in range(count))
