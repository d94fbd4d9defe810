"""What services have learned of their revision, while they sleep and have no policy.

Pure. Three numbers for a rule; a new revision is learned anew. This follows the file; of roll-backs
it is told by `forget`.
"""

from collections.abc import Mapping

from autoscaler.timing import NOTHING_LEARNED, Memory
from cluster.workload import workload_of
from config.service import Service


class Memories:
    """Only of services with something to remember; revisions only of those that may have."""

    __slots__ = ("_kept", "_revisions")

    def __init__(self) -> None:
        self._kept: dict[str, Memory] = {}
        self._revisions: dict[str, str] = {}

    def renewed(self, specs: Mapping[str, Service]) -> set[str]:
        """Services that have another revision now; what was kept of the former one is gone."""
        former = self._revisions
        self._revisions = {
            name: workload_of(spec).revision
            for name, spec in specs.items()
            if spec.scaling.is_timed and not spec.endpoints
        }
        renewed = {
            name for name, revision in former.items() if self._revisions.get(name) != revision
        }
        for name in renewed:
            self.forget(name)
        return renewed

    def keep(self, service: str, memory: Memory) -> None:
        if memory:
            self._kept[service] = memory

    def of(self, service: str) -> Memory:
        return self._kept.get(service, NOTHING_LEARNED)

    def forget(self, service: str) -> None:
        self._kept.pop(service, None)
