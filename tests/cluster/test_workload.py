"""What a workload is named by, and what it does not tell of itself."""

import pytest

from cluster.workload import workload_of
from config.service import Service

PLAIN = Service(name="web", image="web:1", env=(("PASSWORD", "canary"),))


def test_an_environment_is_in_no_representation() -> None:
    """Which is what ends up in a log when something unexpected happens."""
    assert "canary" not in repr(workload_of(PLAIN))
    assert "canary" not in repr(PLAIN)
    assert "web:1" in repr(workload_of(PLAIN))


def test_keys_that_are_not_used_leave_the_revision_as_it_was() -> None:
    """That of the release before they came: else an upgrade would replace every replica."""
    assert workload_of(Service(name="web", image="web:1")).revision == "68f2c96e"


@pytest.mark.parametrize(
    "change",
    [
        {"user": "app"},
        {"read_only": True},
        {"cap_drop": ("ALL",)},
        {"cap_add": ("CHOWN",)},
        {"tmpfs": ("/tmp",)},
        {"init": True},
        {"env": (("PASSWORD", "other"),)},
    ],
)
def test_what_changes_a_replica_changes_its_revision(change: dict[str, object]) -> None:
    changed = workload_of(PLAIN.model_copy(update=change))
    assert changed.revision != workload_of(PLAIN).revision
