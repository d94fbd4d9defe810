"""An engine that only exists in memory: instances on the loop's clock, which do as scripted.

It stands where Docker or the kernel would: it outlives the runtimes that speak to it, several
owners may share it, and it can break down.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from cluster.model import Address, Exit, Instance, InstanceHealth, InstanceStatus
from cluster.runtime import LogLine, RuntimeFailure
from cluster.workload import Workload
from runtimes.hints import Hints

_HOST = "192.0.2.1"  # RFC 5737: an address that nobody has
_FAILED = Exit(1)
_KILLED = Exit(-9)


@dataclass(frozen=True, slots=True)
class Saying:
    """A line of output, `after` seconds of running."""

    after: float
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one instance does, in seconds: of its start call, then of its own running time."""

    start_delay: float = 0.0
    failure: RuntimeFailure | None = None  # of its start, after start_delay
    listens_after: float | None = 0.0  # None: never
    exits_after: float | None = None  # None: runs until stopped
    exit: Exit = _FAILED
    stop_delay: float | None = 0.0  # from SIGTERM to its end; None: ignores it
    cpu: float = 0.0  # cores that it uses while it runs
    memory: int = 0  # bytes
    says: tuple[Saying, ...] = ()  # in the order of their times
    execute: Callable[[Sequence[str]], tuple[float, int]] = lambda command: (0.0, 0)
    health: InstanceHealth | None = None  # what the engine's own check says at first


@dataclass(slots=True, eq=False)
class Specimen:
    """One simulated instance. `news` is for those who follow its logs."""

    owner: str
    instance: Instance
    behaviour: Behaviour
    on_end: Callable[["Specimen"], None]
    lines: list[LogLine] = field(default_factory=list)
    said: int = 0  # how many of its sayings
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ran: float = 0.0  # seconds before it was frozen
    since: float = 0.0  # loop time since when it runs
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        return self.instance.status is InstanceStatus.EXITED

    def age(self, now: float) -> float:
        """Seconds of running, frozen ones not counted."""
        runs = self.instance.status is InstanceStatus.RUNNING
        return self.ran + (now - self.since if runs else 0.0)

    def hold_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


class SimulatedEngine:
    def __init__(self, default: Behaviour | None = None) -> None:
        """`default` is what an instance of a service without a script does."""
        self._default = default or Behaviour()
        self._scripts: dict[str, list[Behaviour]] = {}
        self._specimens: dict[str, Specimen] = {}
        self._hints: dict[str, Hints] = {}
        self._failure: RuntimeFailure | None = None
        self._made = 0

    # For whoever writes the script.

    def script(self, service: str, *behaviours: Behaviour) -> None:
        """One for each coming start of the service; the last one holds for all after it."""
        self._scripts[service] = list(behaviours)

    def crash(self, replica: str, exit: Exit = _KILLED) -> None:
        """Its running instances end at once."""
        for specimen in list(self._specimens.values()):
            if specimen.instance.replica == replica:
                self.end(specimen, exit)

    def say_health(self, replica: str, health: InstanceHealth | None) -> None:
        """What the engine's own check says of a replica from now on."""
        for specimen in self.running():
            if specimen.instance.replica == replica:
                specimen.instance = replace(specimen.instance, health=health)
                self._tell(specimen)

    def break_down(self, message: str = "the simulated engine is down") -> None:
        """Every call fails and every watch ends until `mend`; instances run on."""
        self._failure = RuntimeFailure("engine-unavailable", message, transient=True)
        for hints in self._hints.values():
            hints.end()

    def mend(self) -> None:
        self._failure = None

    def answers(self, address: Address) -> bool:
        """Whether a request to this address would be answered now."""
        now = asyncio.get_running_loop().time()
        return any(_answers(one, now) for one in self.running() if one.instance.address == address)

    def running(self) -> Iterable[Specimen]:
        return [one for one in self._specimens.values() if not one.has_ended]

    # For the runtimes.

    def check(self) -> None:
        """Raises RuntimeFailure(engine-unavailable) while the engine is broken."""
        if self._failure is not None:
            raise self._failure

    def hints_of(self, owner: str) -> Hints:
        return self._hints.setdefault(owner, Hints())

    def next_behaviour(self, service: str) -> Behaviour:
        script = self._scripts.get(service)
        if not script:
            return self._default
        return script.pop(0) if len(script) > 1 else script[0]

    def specimen(self, instance: str) -> Specimen | None:
        return self._specimens.get(instance)

    def owned(self, owner: str) -> list[Specimen]:
        return [one for one in self._specimens.values() if one.owner == owner]

    def begin(
        self,
        owner: str,
        replica: str,
        workload: Workload,
        behaviour: Behaviour,
        on_end: Callable[[Specimen], None] = lambda specimen: None,
    ) -> Specimen:
        """Makes an instance that runs from now on."""
        self._made += 1
        instance = Instance(
            id=f"simulated-{self._made}",
            replica=replica,
            service=workload.service,
            revision=workload.revision,
            status=InstanceStatus.RUNNING,
            address=_address(self._made),
            started_at=asyncio.get_running_loop().time(),
            health=behaviour.health,
        )
        specimen = Specimen(owner, instance, behaviour, on_end)
        self._specimens[instance.id] = specimen
        self._run(specimen)
        self._tell(specimen)
        return specimen

    def begin_again(self, specimen: Specimen, behaviour: Behaviour) -> None:
        """What has ended runs once more, elsewhere, and does something else."""
        self._made += 1
        specimen.behaviour, specimen.ran, specimen.said = behaviour, 0.0, 0
        specimen.instance = replace(
            specimen.instance,
            status=InstanceStatus.RUNNING,
            address=_address(self._made),
            exit=None,
            health=behaviour.health,
        )
        self._run(specimen)
        self._tell(specimen)

    def freeze(self, specimen: Specimen) -> None:
        if specimen.instance.status is InstanceStatus.RUNNING:
            specimen.ran = specimen.age(asyncio.get_running_loop().time())
            specimen.hold_timers()
            specimen.instance = replace(specimen.instance, status=InstanceStatus.FROZEN)
            self._tell(specimen)

    def thaw(self, specimen: Specimen) -> None:
        if specimen.instance.status is InstanceStatus.FROZEN:
            specimen.instance = replace(specimen.instance, status=InstanceStatus.RUNNING)
            self._run(specimen)
            self._tell(specimen)

    def end(self, specimen: Specimen, exit: Exit) -> None:
        if not specimen.has_ended:
            specimen.hold_timers()
            specimen.instance = replace(specimen.instance, status=InstanceStatus.EXITED, exit=exit)
            specimen.news.set()
            self._tell(specimen)
            specimen.on_end(specimen)

    def remove(self, specimen: Specimen) -> None:
        self.end(specimen, _KILLED)
        if self._specimens.pop(specimen.instance.id, None) is not None:
            self._tell(specimen)

    def _run(self, specimen: Specimen) -> None:
        """Sets the timers of what it will still do."""
        loop = asyncio.get_running_loop()
        specimen.since = loop.time()
        behaviour = specimen.behaviour
        _speak(specimen, loop)
        if behaviour.exits_after is not None:
            wait = max(0.0, behaviour.exits_after - specimen.ran)
            specimen.timers.append(loop.call_later(wait, self.end, specimen, behaviour.exit))

    def _tell(self, specimen: Specimen) -> None:
        self.hints_of(specimen.owner).tell(specimen.instance.service)


def _address(number: int) -> Address:
    return Address(_HOST, 10_000 + number % 50_000)


def _speak(specimen: Specimen, loop: asyncio.AbstractEventLoop) -> None:
    """Says what is due, and sets a timer for the next saying."""
    now = loop.time()
    for saying in specimen.behaviour.says[specimen.said :]:
        wait = saying.after - specimen.age(now)
        if wait > 0:
            specimen.timers.append(loop.call_later(wait, _speak, specimen, loop))
            break
        specimen.said += 1
        replica = specimen.instance.replica
        specimen.lines.append(LogLine(replica, saying.stream, saying.text, now))
        specimen.news.set()


def _answers(specimen: Specimen, now: float) -> bool:
    listens_after = specimen.behaviour.listens_after
    return (
        specimen.instance.status is InstanceStatus.RUNNING
        and listens_after is not None
        and specimen.age(now) >= listens_after
    )
