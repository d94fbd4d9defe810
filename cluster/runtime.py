"""The runtime port: what Tidegate asks of whatever runs replicas.

There are two kinds of engine. With one, we place instances ourselves (processes, Docker):
`InstanceRuntime`. The other owns the count and we set it (Swarm, Kubernetes, Nomad, ECS):
`CountRuntime`. Both are observed in the same way, and both are level-based: `instances` is the
truth, `watch` only says where to look again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cluster.model import Exit, Instance, Usage
from cluster.workload import Workload


class RuntimeFailure(Exception):
    """What a driver raises for every foreign error.

    `code` is stable and becomes the code of the service's trouble: image-missing, start-failed,
    port-in-use, engine-unavailable, bad-workload, unknown-instance, unsupported.
    `transient` says that the same call may succeed later with nothing changed.
    """

    def __init__(self, code: str, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.transient = transient


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can do."""

    freeze: bool = False
    keep: bool = False  # InstanceRuntime: `halt` and `resume`
    exec: bool = False
    logs: bool = False
    usage: bool = False
    choose_victim: bool = False  # CountRuntime: honours `spare`


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a replica's output. `at` is wall-clock seconds, or None where unknown."""

    replica: str
    stream: str  # stdout | stderr
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """Something changed: look again. `service` None: anything may have. `ended` is an instance
    that has just ended, and `exit` says how, where that is known for sure already."""

    service: str | None = None
    ended: str | None = field(default=None, compare=False)
    exit: Exit | None = field(default=None, compare=False)


class Runtime(Protocol):
    """What both kinds share. Every method may raise RuntimeFailure, and nothing else."""

    name: str
    capabilities: Capabilities

    async def open(self) -> None:
        """Connect. Raises RuntimeFailure(engine-unavailable) when the engine does not answer;
        may be called again."""

    async def close(self) -> None:
        """Let go of connections and helpers. Running instances stay as they are."""

    async def instances(self) -> Sequence[Instance]:
        """Every instance with our owner mark, whatever its status, ended ones until removed."""

    def watch(self) -> AsyncIterator[Hint]:
        """Hints until the connection breaks; then it ends or raises RuntimeFailure.

        The first one comes once it listens and names no service, so that nobody misses what
        happens between listing and listening. `close` ends it.
        """

    def logs(
        self, instance: str, *, tail: int = 100, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """The last `tail` lines of output, then, when following, the lines as they come."""

    async def execute(self, instance: str, command: Sequence[str], timeout: float) -> int:
        """Exit code of a command run beside the replica. RuntimeFailure(timeout) when too slow."""

    async def usage(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        """What these instances use, by id. Those that are unknown or have ended are left out."""


@runtime_checkable
class InstanceRuntime(Runtime, Protocol):
    """An engine with which we place instances ourselves."""

    async def start(self, replica: str, workload: Workload) -> Instance:
        """Create and start an instance named and labelled for this replica.

        Returns as soon as its address is known; it need not listen yet. A failed start leaves
        nothing behind. Calling it again for a replica that exists returns what exists.
        """

    async def stop(self, instance: str, grace: float) -> None:
        """SIGTERM, SIGKILL after `grace` seconds, remove. Idempotent: unknown is success."""

    async def freeze(self, instance: str) -> None:
        """Take all CPU from it; its memory and sockets stay. Idempotent."""

    async def thaw(self, instance: str) -> None:
        """Undo `freeze`. Idempotent."""

    async def halt(self, instance: str, grace: float) -> None:
        """SIGTERM, SIGKILL after `grace` seconds, but keep what is needed to start it again.

        It is listed as ended until it is resumed or stopped. Idempotent.
        RuntimeFailure(unsupported) where the driver cannot `keep`.
        """

    async def resume(self, instance: str) -> Instance:
        """Start again what was halted: with what it wrote, maybe at another address.

        While this call is under way it is not listed as ended. What runs already is returned.
        """


@runtime_checkable
class CountRuntime(Runtime, Protocol):
    """An engine that owns the count."""

    async def set_count(self, workload: Workload, count: int, spare: Sequence[str]) -> None:
        """Make the engine run `count` instances of the workload, replacing its former revision.

        `spare` names instances to prefer as victims, best victim first; only an engine with
        `choose_victim` honours it.
        """

    async def remove(self, service: str) -> None:
        """Remove the service from the engine with all of its instances. Idempotent."""
