"""What a driver's test module gives to run: replicas of known behaviour."""

from collections.abc import Sequence
from typing import Protocol

from cluster.workload import Workload


class Workloads(Protocol):
    """Replicas of known behaviour, and commands to run beside them."""

    def server(self) -> Workload:
        """Answers any HTTP/1 request on its port with a status 200; ends at once on SIGTERM."""

    def stubborn(self) -> Workload:
        """As `server`, but ignores SIGTERM."""

    def exits(self) -> Workload:
        """Ends with code 3 as soon as it runs."""

    def talker(self) -> Workload:
        """Writes `out 1` to `out 3` to stdout, `err 1` to `err 3` to stderr, then `beat 1`,
        `beat 2`, … to stdout, several a second; ends at once on SIGTERM."""

    def burner(self) -> Workload:
        """Does not listen; a process below its first one uses a core as well as it can, and the
        replica holds more than a few hundred KiB; ends at once on SIGTERM."""

    def broken(self) -> Workload:
        """Cannot be started: its program or image does not exist."""

    def exit_with(self, code: int) -> Sequence[str]:
        """A command for `execute` on a `server` that ends with this code."""

    def lingering(self) -> Sequence[str]:
        """A command for `execute` on a `server` that takes longer than a minute."""
