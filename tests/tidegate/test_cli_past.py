"""`tidegate explain --at`: what was decided before now."""

import json

from tests.support.served_plane import Served
from tests.tidegate.conftest import Said


def test_explain_tells_of_the_past(tidegate: Said, served: Served) -> None:
    at = ("--at", "2023-11-14T22:12:30Z")
    assert tidegate("explain", "web", *at, "--admin", served.url) == 0
    assert tidegate.out.startswith("web: 1 replica (stable mode, decided ")
    assert "  because woken by a request, initial is 1\n" in tidegate.out
    assert "for 1m\n" in tidegate.out
    assert "Came of it\n  1 replica ready after 1.3s\n" in tidegate.out
    assert tidegate("explain", "web", *at, "--json", "--admin", served.url) == 0
    assert json.loads(tidegate.out)["replicas"] == 1


def test_explain_of_a_time_that_is_not_known(tidegate: Said, served: Served) -> None:
    assert tidegate("explain", "web", "--at", "2020-01-01", "--admin", served.url) == 1
    told = "tidegate: no decision about web is known from before 2023-11-1"
    assert tidegate.err.startswith(told)
    for text in ("soon", "2999-01-01", "25:00"):
        assert tidegate("explain", "web", "--at", text, "--admin", served.url) == 2
        assert tidegate.err.startswith("tidegate: --at: ")
    assert tidegate("explain", "wep", "--at", "1m ago", "--admin", served.url) == 1
    assert "did you mean web?" in tidegate.err
