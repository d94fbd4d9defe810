"""File descriptors: how many there may be, and who may have the last ones.

A new descriptor gets the lowest free number, so the number alone tells how full it is. Clients
never keep one of the top tenth: those are for connections to replicas, without which no client
could be answered.
"""

import contextlib
import resource

_MOST = 2**20  # some hard limits have no end, and programs exist that try every number
_FOR_CLIENTS = 0.9

_before: list[int] = []


def raise_limit() -> None:
    """Take as many descriptors as we may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            _before.append(soft)


def limit_of_others() -> int | None:
    """The soft limit for what we start: as it was before we raised ours, None when we did not.

    Programs that use select(2) break on high numbers.
    """
    return _before[0] if _before else None


def limit() -> int:
    """How many there may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


def for_clients() -> int:
    """Descriptors from this number on are not for clients."""
    return int(limit() * _FOR_CLIENTS)
