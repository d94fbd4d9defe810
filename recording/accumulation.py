"""The gateways' reports, added up by second and service until they are written.

Pure. Reports of several gateways meet in the same second. A second is taken when nobody will speak
of it any more; who does all the same is added to what is written already.
"""

from dataclasses import dataclass, field

from cluster.messages import LoadReport
from recording.rows import Batch, Memory, Start
from recording.seconds import MICRO, Second, divided

SETTLED = 3.0  # seconds after which all gateways have told of a second


@dataclass(slots=True)
class Accumulation:
    """`by_second`: of each second (since 1970) the services that had traffic."""

    by_second: dict[int, dict[str, Second]] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    memory: dict[tuple[int, str], Memory] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.by_second or self.starts or self.memory)

    def add(self, report: LoadReport, at: float, replicas: int) -> None:
        """`at` is the report's end in seconds since 1970; `replicas` can be sent requests now."""
        if report.is_silent and not report.recorded:
            return
        begin, service = at - report.span, report.service
        busy = round(report.busy_seconds * MICRO)
        in_flight = max(0, busy - round(report.queued * report.span * MICRO))
        for name, count in (
            ("requests", report.requests),
            ("rejected", report.rejected),
            ("busy", busy),
            ("in_flight", in_flight),
        ):
            for second, part in divided(count, begin, at) if count else ():
                known = self._second(second, service, replicas)
                setattr(known, name, getattr(known, name) + part)
        if report.recorded and not report.is_silent:
            self._second(int((begin + at) / 2), service, replicas).add(report)

    def started(self, start: Start) -> None:
        self.starts.append(start)

    def used(self, service: str, at: float, largest: int) -> None:
        """`largest` of its replicas has so many bytes of memory."""
        minute = int(at) // 60 * 60
        known = self.memory.get((minute, service))
        if known is None or known.largest < largest:
            self.memory[minute, service] = Memory(minute, service, largest)

    def take(self, now: float, *, everything: bool = False) -> Batch:
        """What is settled; it is forgotten here. `now` in seconds since 1970."""
        settled = [at for at in self.by_second if everything or at + 1 + SETTLED <= now]
        seconds = {at: self.by_second.pop(at) for at in settled}
        starts, self.starts = self.starts, []
        memory, self.memory = list(self.memory.values()), {}
        return Batch(
            [(at, name, one) for at in sorted(seconds) for name, one in seconds[at].items()],
            starts,
            memory,
        )

    def _second(self, at: int, service: str, replicas: int) -> Second:
        services = self.by_second.setdefault(at, {})
        known = services.get(service)
        if known is None:
            known = services[service] = Second()
        known.replicas = max(known.replicas, replicas)
        return known
