"""When the certificates that clients are shown end: a metric for alarms, and a word in the log
while there is still time.

They are read when a configuration is taken over, as the gateway does: a file that was renewed since
helps nobody before the next reload.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from cluster.events import Events
from config.certificates import BadCertificate, expiry_of
from config.settings import Gateway
from gateway.listener import staying
from tidegate.metrics import TidegateMetrics

DAY = 86400.0
EARLY = 14 * DAY  # renewal of certificates for 90 days is due long before


class Expiry:
    def __init__(self, events: Events, metrics: TidegateMetrics, wall: Callable[[], float]) -> None:
        self._events = events
        self._metrics = metrics
        self._wall = wall
        self._shown: Gateway | None = None
        self._known: dict[str, float] = {}

    def look(self, asked: Gateway) -> None:
        """At the start and after a reload: what is shown now, and for how long."""
        shown = self._shown = asked if self._shown is None else staying(self._shown, asked)
        files = {one.cert: None for listener in shown.tls for one in listener.certificates}
        found = {file: self._read(file) for file in files}
        self._known = {file: expiry for file, expiry in found.items() if expiry is not None}
        self._metrics.certificates(self._known)
        self.warn()

    def warn(self) -> None:
        """Of all that end soon, or have ended."""
        now = self._wall()
        for file, expiry in self._known.items():
            if expiry - now < EARLY:
                level = logging.WARNING if expiry > now else logging.ERROR
                self._events.emit("certificate-expires", warning(file, expiry, now), level=level)

    async def run(self) -> None:
        """Once a day, for those who neither reload nor look at metrics."""
        while True:
            await asyncio.sleep(DAY)
            self.warn()

    def _read(self, file: str) -> float | None:
        try:
            return expiry_of(file)
        except BadCertificate:
            return self._known.get(file)  # the gateway says why, and keeps the former one


def warning(file: str, expiry: float, now: float) -> str:
    """Times are seconds since 1970."""
    when = datetime.fromtimestamp(expiry, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if expiry <= now:
        return f"{file} has expired ({when}) and clients refuse it: renew it, then reload"
    days = int((expiry - now) / DAY)
    left = f"{days} day{'' if days == 1 else 's'}" if days else "less than a day"
    return f"{file} expires in {left} ({when}): renew it, then reload"
