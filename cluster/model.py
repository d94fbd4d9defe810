"""The nouns of the world: addresses, instances, replicas, and what is wanted of a service.

Pure and immutable: a change is a new value.
"""

from dataclasses import dataclass
from enum import StrEnum

from cluster.endings import cause_of
from cluster.lifecycle import State


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a replica listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From `host:port` or `[::1]:port`. Raises ValueError."""
        host, separator, port = text.rpartition(":")
        if not separator or not host or not (port.isascii() and port.isdigit()):
            raise ValueError(f'must be "host:port", got "{text}"')
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def is_loopback(self) -> bool:
        """This host itself, where several may listen at one port."""
        return self.host in ("::1", "localhost") or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class InstanceStatus(StrEnum):
    RUNNING = "running"
    FROZEN = "frozen"
    EXITED = "exited"


class InstanceHealth(StrEnum):
    """What the engine's own check of an instance says (Docker's HEALTHCHECK)."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Exit:
    """How an instance ended: its code where known (negative: the signal), and why in words.

    `memory` is the limit in bytes under which it ran, where there is one.
    """

    code: int | None = None
    oom: bool = False
    message: str = ""
    memory: int | None = None

    @property
    def cause(self) -> str:
        """Without the words of the instance itself, which are not for everybody."""
        return cause_of(self.code, oom=self.oom, memory=self.memory)

    @property
    def was_killed(self) -> bool:
        """By somebody from outside: no program does that to itself. (One that is out of memory is
        killed for what it did.)"""
        return self.code == -9 and not self.oom

    def __str__(self) -> str:
        return f"{self.cause}: {self.message}" if self.message else self.cause


@dataclass(frozen=True, slots=True)
class Instance:
    """What a runtime reports: a container, a process, a task.

    `id` is the engine's own; `replica` is our name for it, read back from its labels.
    `started_at` is wall-clock time in seconds since 1970; `health` is None where the engine does
    not check it.
    """

    id: str
    replica: str
    service: str
    revision: str
    status: InstanceStatus
    address: Address | None
    started_at: float
    exit: Exit | None = None
    health: InstanceHealth | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an instance uses, all of its processes together.

    `cpu_seconds` since it was started; less than before says that some of it was lost on the way
    (a process that ended without being waited for). `memory` in bytes, what can be given back at
    once (file caches) not counted.
    """

    cpu_seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Replica:
    """Our record of one copy of a service.

    `started_at` is wall-clock time for people; `since` is loop time of the last change of state.
    """

    id: str
    service: str
    revision: str
    state: State
    started_at: float
    since: float
    instance: str | None = None
    address: Address | None = None
    reason: str = ""
    health: InstanceHealth | None = None
    adopted: bool = False  # a former Tidegate has started it


class Mode(StrEnum):
    """Why the autoscaler wants what it wants."""

    STABLE = "stable"
    PANIC = "panic"
    IDLE = "idle"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a service can have no replica now, for clients, `status` and the log.

    `code` is stable (start-failed, crash-looping, image-missing, engine-unavailable, …);
    `retry_after` is in seconds; where it is known when it ends, `until` is that moment (loop time)
    and counts instead. `detail` is what the replica itself said: it may hold anything, so
    it is for operators and never told to clients. `at_once`: a start makes it good in the same
    moment, so requests wait for that and hear nothing of it.
    """

    code: str
    message: str
    retry_after: float = 1.0
    detail: str = ""
    until: float | None = None
    at_once: bool = False

    def __str__(self) -> str:
        return f"{self.message}: {self.detail}" if self.detail else self.message


@dataclass(frozen=True, slots=True)
class Desired:
    """What the autoscaler wants of a service. Frozen: keep the replicas, but asleep.

    `refusal`: no request may wake it, and clients are told so at once.
    """

    replicas: int
    mode: Mode = Mode.IDLE
    reason: str = ""
    frozen: bool = False
    refusal: Trouble | None = None

    def is_wish_of(self, other: "Desired") -> bool:
        """The same is to be done for both, for whatever reason."""
        return (
            self.replicas == other.replicas
            and self.frozen is other.frozen
            and self.mode is other.mode
            and self.refusal == other.refusal
        )
