"""Which tests run one after the other, and in which order all begin: by their names alone, which
is all that xdist's scheduler sees.

The tests of one file stay together; whole systems on processes share nothing, and each of their
tests goes where there is room. Those that need Docker are two chains, for its engine is slow when
it has much to do at once: whole systems, and all others with those that have engines of their own.
The chains begin first and the files come last, so that no process is left with a long one.

(xdist's own `loadgroup` groups nothing with pytest 9.2: pytest-dev/pytest-xdist#1386.)
"""

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_WHOLE = ("tests/e2e/", "tests/faults/")
_CHAINS = ("docker systems", "docker")
OWN_ENGINES = (
    "tests/docker/test_own_engine.py",
    "tests/e2e/test_engine_trouble.py",
    "tests/faults/test_engine_trouble.py",
)
# They need Docker, and do not say so in their names.
ALSO_DOCKER = (
    "tests/e2e/test_crash_loops.py::test_lack_of_memory_is_told_with_the_limit",
    "tests/e2e/test_full_host.py::test_idle_containers_make_room_and_those_in_use_stay",
    "tests/e2e/test_taking_over_blindly.py::",
    "tests/faults/test_sick_replicas.py::test_a_replica_that_runs_out_of_memory",
)


def chain(name: str) -> str:
    """Of a test's node id: those of the same chain run in the same process."""
    if name.startswith(OWN_ENGINES):
        return "docker"
    if needs_docker(name):
        return "docker systems" if name.startswith(_WHOLE) else "docker"
    return name if name.startswith(_WHOLE) else name.partition("::")[0]


def needs_docker(name: str) -> bool:
    return "docker" in name or name.startswith((*OWN_ENGINES, *ALSO_DOCKER))


def turn(name: str) -> int:
    """The chains of Docker, whole systems, files."""
    found = chain(name)
    if found in _CHAINS:
        return _CHAINS.index(found)
    return len(_CHAINS) + (not found.startswith(_WHOLE))


class InChains(LoadScopeScheduling):  # type: ignore[misc]
    """A process takes the next chain when it is nearly through with its last one."""

    def _split_scope(self, nodeid: str) -> str:
        return chain(nodeid)
