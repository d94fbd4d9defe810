"""How what we start is marked in an engine, so that it is found again and never mistaken.

Pure. Two Tidegates with different owners may share an engine: each sees its own mark only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.workload import Workload

OWNER = "tidegate.owner"
SERVICE = "tidegate.service"
REVISION = "tidegate.revision"
REPLICA = "tidegate.replica"


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose instance it is and what it runs, as read back from its labels."""

    owner: str
    service: str
    revision: str
    replica: str


def labels_of(owner: str, replica: str, workload: Workload) -> dict[str, str]:
    """The operator's own labels and our marks; ours win."""
    return {
        **dict(workload.labels),
        OWNER: owner,
        SERVICE: workload.service,
        REVISION: workload.revision,
        REPLICA: replica,
    }


def mark_of(labels: Mapping[str, str]) -> Mark | None:
    """The marks in an engine's labels; None when one is missing: it is not ours."""
    try:
        return Mark(labels[OWNER], labels[SERVICE], labels[REVISION], labels[REPLICA])
    except KeyError:
        return None
