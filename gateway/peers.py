"""What the gateway processes of one Tidegate share of a service with a hard limit.

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


class Everyone(Protocol):
    """All services that are shared."""

    def peers(self, service: str) -> Peers | None:
        """None when the service has no limit to share."""
