"""Labels: ours win over the operator's, and only a whole set of marks makes an instance ours."""

import pytest

from cluster.workload import Workload
from runtimes.labels import OWNER, REPLICA, REVISION, SERVICE, Mark, labels_of, mark_of

_WORKLOAD = Workload("web", "r1", labels=(("team", "a"), (OWNER, "somebody else")))


def test_what_is_written_is_read_back() -> None:
    labels = labels_of("me", "web-1", _WORKLOAD)
    assert mark_of(labels) == Mark(owner="me", service="web", revision="r1", replica="web-1")
    assert labels["team"] == "a"


@pytest.mark.parametrize("missing", [OWNER, SERVICE, REVISION, REPLICA])
def test_an_instance_with_a_mark_missing_is_not_ours(missing: str) -> None:
    labels = labels_of("me", "web-1", _WORKLOAD)
    del labels[missing]
    assert mark_of(labels) is None
