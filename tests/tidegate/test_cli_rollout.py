"""`tidegate restart` and `tidegate rollback`, against a real admin server."""

import json
from dataclasses import replace

from tests.support.operated_plane import asleep
from tests.support.served_plane import Served
from tests.tidegate.conftest import Said


def test_a_restart_says_how_many_and_how_to_follow_it(tidegate: Said, served: Served) -> None:
    assert tidegate("restart", "web", "--admin", served.url) == 0
    assert tidegate.out == (
        "web: 2 replicas will be replaced; to follow it: tidegate status web --watch\n"
    )
    assert served.plane.restarted == ["web"]
    assert tidegate("restart", "api", "--admin", served.url) == 0
    assert tidegate.out == "api: nothing runs, so there is nothing to restart\n"
    assert tidegate("restart", "web", "--json", "--admin", served.url) == 0
    assert json.loads(tidegate.out)["name"] == "web"


def test_a_rollback_says_to_what_and_until_when(tidegate: Said, served: Served) -> None:
    served.plane.former["web"] = "99999999"
    assert tidegate("rollback", "web", "--admin", served.url) == 0
    assert tidegate.out.startswith(
        "web: back to revision 99999999, until the file names another one; to follow it: "
    )
    assert tidegate("status", "web", "--admin", served.url) == 0
    assert "rollout   rolled-back: 99999999 is run instead of the file's 0a1b2c3d" in tidegate.out
    assert tidegate("rollback", "web", "--undo", "--admin", served.url) == 0
    assert tidegate.out.startswith("web: revision 0a1b2c3d of the file; to follow it: ")


def test_what_cannot_be_is_told_and_is_a_failure(tidegate: Said, served: Served) -> None:
    assert tidegate("rollback", "web", "--admin", served.url) == 1
    assert tidegate.err == "tidegate: no other revision of web is known to have been healthy\n"
    served.plane.known["away"] = replace(asleep("away"), revision="")
    assert tidegate("restart", "away", "--admin", served.url) == 1
    assert "is not ours to replace" in tidegate.err
    assert tidegate("restart", "nothing", "--admin", served.url) == 1
    assert 'no service "nothing"' in tidegate.err
    assert tidegate("restart", "--admin", served.url) == 2
