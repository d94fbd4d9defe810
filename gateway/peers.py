"""What the gateway processes of one Tidegate share, so that limits hold for them together.

Pure. A gateway that is alone has no peers, and pays nothing for what is here.
"""

from typing import Protocol

JUST_CAME = 0  # a request that has not waited: everyone who waits goes first
BOUND_BEFORE = 1  # one that had a place and lost it: it goes before everyone who waits


class Tokens(Protocol):
    """The places of one replica, as many as its limit, for all processes together."""

    def take(self, since: int) -> bool:
        """A place for a request that waits since then (a stamp); False when there is none, or
        when somebody in another process has waited longer. Never blocks."""

    def adopt(self, count: int) -> None:
        """So many requests have a place already, from the time when there was no limit."""

    def give(self) -> None:
        """Give back what was taken; whoever has waited longest is told."""


class Peers(Protocol):
    """One service, and who waits for it elsewhere."""

    def tokens(self, replica: str) -> Tokens:
        """Always the same for a replica; they may be empty until the replica is known."""

    def stamp(self) -> int:
        """Now, as all processes count it; more than BOUND_BEFORE."""

    def waiting(self, since: int) -> None:
        """The longest waiting request here waits since then; 0 when none waits."""


class Count(Protocol):
    """A number of which each process has its part."""

    def tell(self, here: int) -> None:
        """So many are here now."""

    def total(self) -> int:
        """So many are there everywhere, as told."""


class Clients(Protocol):
    """Connections by the client's address."""

    def tell(self, ip: bytes, here: int) -> None:
        """So many of that address are here now."""

    def total(self, ip: bytes, here: int) -> int:
        """Those that are here and those of the other processes."""


class Everyone(Protocol):
    """All of it. Connections are counted in `connections` and `clients`."""

    @property
    def processes(self) -> int: ...

    @property
    def connections(self) -> Count: ...

    @property
    def clients(self) -> Clients: ...

    @property
    def held(self) -> Count:
        """Requests that wait for replicas of any service."""

    def queue(self, service: str) -> Count:
        """Requests that wait for the service."""

    def peers(self, service: str) -> Peers | None:
        """None when the service has no limit to share."""
