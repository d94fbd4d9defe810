"""The command line as an operator meets it: what it prints, and its exit codes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from admin.ports import ReloadResult, UpgradeResult
from cluster.runtime import RuntimeFailure
from tests.support.lone_server import dead_port
from tests.support.operated_plane import asleep, awake
from tests.support.served_plane import Served, serving
from tests.tidegate.conftest import Said

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_status_is_a_table(tidegate: Said, served: Served) -> None:
    assert tidegate("status", "--admin", served.url) == 0
    lines = [line.split("  ") for line in tidegate.out.splitlines()]
    table = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert table[0] == ["NAME", "STATE", "READY", "MODE", "IN FLIGHT", "QUEUED", "LAST DECISION"]
    assert table[1][:6] == ["web", "scaling up", "1/2", "stable", "7", "1"]
    assert table[1][6].startswith("1 → 2, ")
    assert table[2] == ["api", "asleep", "0/0", "idle", "0", "0"]
    assert table[3][1] == "failing"
    assert table[3][6] == "crash-looping: exited with code 1: [boom] (next try in 4s)"


def test_status_shows_a_file_that_was_not_loaded(tidegate: Said, served: Served) -> None:
    served.plane.result = ReloadResult(False, ("tidegate.yaml:3: services.web.max: is wrong",))
    assert tidegate("status", "--admin", served.url) == 0
    assert "the file was changed but not loaded, 1 problem;" in tidegate.out
    assert "  tidegate.yaml:3: services.web.max: is wrong" in tidegate.out


def test_status_of_one_service_shows_its_replicas(tidegate: Said, served: Served) -> None:
    assert tidegate("status", "web", "--admin", served.url) == 0
    assert "1 ready of 2 wanted (from 0 to 10, stable)" in tidegate.out
    (row,) = [line.split() for line in tidegate.out.splitlines() if line.startswith("web-1")]
    assert row[:5] == ["web-1", "ready", "127.0.0.1:40000", "0a1b2c3d", "7"]


def test_status_shows_who_is_ejected_and_why(tidegate: Said, served: Served) -> None:
    reason = "ejected for 10 s: 5 requests in a row failed (last: an answer 5xx)"
    web = awake()
    served.plane.known["web"] = replace(
        web, replicas=(replace(web.replicas[0], ejected=True, reason=reason), web.replicas[1])
    )
    assert tidegate("status", "web", "--admin", served.url) == 0
    (line,) = [line for line in tidegate.out.splitlines() if "web-1" in line]
    assert line.split()[1] == "ejected"
    assert line.endswith(reason)


def test_status_of_very_many_shows_those_in_use_unless_all_are_asked_for(
    tidegate: Said, served: Served
) -> None:
    many = {f"s{number}": asleep(f"s{number}") for number in range(150)}
    served.plane.known = many | {"web": awake()}
    assert tidegate("status", "--admin", served.url) == 0
    assert [line.split()[0] for line in tidegate.out.splitlines()] == ["NAME", "web", "150"]
    assert "150 more asleep: tidegate status --all" in tidegate.out
    assert tidegate("status", "--all", "--admin", served.url) == 0
    assert len(tidegate.out.splitlines()) == 152


def test_status_for_programs_is_the_answer_of_the_api(tidegate: Said, served: Served) -> None:
    assert tidegate("status", "--json", "--admin", served.url) == 0
    assert [one["name"] for one in json.loads(tidegate.out)["services"]] == ["web", "api", "job"]
    assert tidegate("status", "web", "--json", "--admin", served.url) == 0
    assert json.loads(tidegate.out)["last_decision"]["replicas"] == 2


def test_an_unknown_service_fails_with_a_guess(tidegate: Said, served: Served) -> None:
    for command in (["status", "wep"], ["explain", "wep"], ["scale", "wep", "1"], ["logs", "wep"]):
        assert tidegate(*command, "--admin", served.url) == 1
        assert tidegate.err == 'tidegate: no service "wep"; did you mean web?\n'
        assert tidegate.out == ""


def test_explain_tells_the_story(tidegate: Said, served: Served) -> None:
    assert tidegate("explain", "web", "--admin", served.url) == 0
    assert tidegate.out.startswith("web: 10 replicas (panic mode, decided ")
    assert tidegate("explain", "web", "--json", "--admin", served.url) == 0
    assert json.loads(tidegate.out)["outcome"]["replicas"] == 10


@pytest.mark.parametrize(
    ("arguments", "hand", "said"),
    [
        (["3", "--for", "10m"], (3, 600.0), "web: 3 replicas by hand, for 10m\n"),
        (["1"], (1, None), "web: 1 replica by hand, until `tidegate scale web auto`\n"),
        (["0"], (0, None), "web: 0 replicas by hand, until `tidegate scale web auto`\n"),
    ],
)
def test_scale_by_hand(
    tidegate: Said,
    served: Served,
    arguments: list[str],
    hand: tuple[int, float | None],
    said: str,
) -> None:
    assert tidegate("scale", "web", *arguments, "--admin", served.url) == 0
    assert served.plane.hand == {"web": hand}
    assert tidegate.out == said


def test_scale_auto_undoes_it(tidegate: Said, served: Served) -> None:
    tidegate("scale", "web", "3", "--admin", served.url)
    assert tidegate("scale", "web", "auto", "--admin", served.url) == 0
    assert served.plane.hand == {}
    assert tidegate.out == "web: scaled automatically\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["many"], "N must be a whole number or `auto`"),
        (["1.5"], "N must be a whole number or `auto`"),
        (["auto", "--for", "1m"], "leave out --for"),
        (["3", "--for", "soon"], "must be a duration"),
        (["11"], "scaling.max of web is 10"),
        ([], "Missing argument"),
    ],
)
def test_scale_used_wrongly_is_exit_code_2(
    tidegate: Said, served: Served, arguments: list[str], words: str
) -> None:
    assert tidegate("scale", "web", *arguments, "--admin", served.url) == 2
    assert words in tidegate.err
    assert served.plane.hand == {}


def test_a_lease_is_taken_shown_and_given_back(tidegate: Said, served: Served) -> None:
    assert tidegate("lease", "web", "--for", "10m", "--admin", served.url) == 0
    assert tidegate.out.startswith("web: leased until ")
    assert tidegate.out.endswith("; to end it before: tidegate lease web --release l0\n")
    assert served.plane.woken == []
    assert tidegate("status", "web", "--admin", served.url) == 0
    assert "  leases    l0 until " in tidegate.out
    assert tidegate("lease", "web", "--release", "l0", "--admin", served.url) == 0
    assert tidegate.out == "web: gave back the lease l0\n"
    assert tidegate("lease", "web", "--release", "l0", "--admin", served.url) == 1
    assert tidegate.err == "tidegate: web has no such lease, or it has ended\n"
    assert tidegate("lease", "web", "--for", "1m", "--wake", "--json", "--admin", served.url) == 0
    assert json.loads(tidegate.out)["id"] == "l0"
    assert served.plane.woken == ["web"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--for"),
        (["--for", "1m", "--release", "l0"], "--release"),
        (["--release", "l0", "--wake"], "--release"),
        (["--for", "soon"], "must be a duration"),
        (["--for", "25h"], "at most 24h"),
    ],
)
def test_lease_used_wrongly_is_exit_code_2(
    tidegate: Said, served: Served, arguments: list[str], words: str
) -> None:
    assert tidegate("lease", "web", *arguments, "--admin", served.url) == 2
    assert words in tidegate.err
    assert served.plane.known["web"].leases == ()


def test_status_shows_what_a_service_waits_for_and_what_has_completed(
    tidegate: Said, served: Served
) -> None:
    waiting = replace(asleep("api"), desired=1, waits_for=("db (healthy)", "migrate (completed)"))
    served.plane.known["api"] = waiting
    served.plane.known["migrate"] = replace(asleep("migrate"), desired=1, completed=True)
    assert tidegate("status", "api", "--admin", served.url) == 0
    assert "  waits for db (healthy), migrate (completed)" in tidegate.out
    assert tidegate("status", "--admin", served.url) == 0
    (line,) = [line for line in tidegate.out.splitlines() if line.startswith("migrate")]
    assert line.split()[1] == "completed"


def test_reload_tells_what_changed(tidegate: Said, served: Served) -> None:
    assert tidegate("reload", "--admin", served.url) == 0
    assert tidegate.out == "reloaded\nchanged: web\n"


def test_an_upgrade_names_the_process_that_took_over(tidegate: Said, served: Served) -> None:
    assert tidegate("upgrade", "--admin", served.url) == 0
    assert "process 4711 " in tidegate.out
    assert tidegate("upgrade", "--json", "--admin", served.url) == 0
    assert json.loads(tidegate.out) == {"pid": 4711}


def test_a_failed_upgrade_says_why_and_is_exit_code_1(tidegate: Said, served: Served) -> None:
    served.plane.upgraded = UpgradeResult(False, 0, "tidegate.yaml:3: nonsense")
    assert tidegate("upgrade", "--admin", served.url) == 1
    assert "tidegate.yaml:3: nonsense" in tidegate.err


def test_a_refused_reload_tells_all_problems_and_is_exit_code_2(
    tidegate: Said, served: Served
) -> None:
    served.plane.result = ReloadResult(False, ("a.yaml:1: one", "a.yaml:2: two"))
    assert tidegate("reload", "--admin", served.url) == 2
    assert (tidegate.out, tidegate.err) == ("", "a.yaml:1: one\na.yaml:2: two\n")
    assert tidegate("reload", "--json", "--admin", served.url) == 2
    assert json.loads(tidegate.out) == {"ok": False, "problems": ["a.yaml:1: one", "a.yaml:2: two"]}


def test_events_are_lines(tidegate: Said, served: Served) -> None:
    events = served.plane.events
    served.do(lambda: events.emit("woke", "web woke\x1b[2J", service="web"))
    served.do(lambda: events.emit("slept", "api sleeps", service="api"))
    assert tidegate("events", "--admin", served.url) == 0
    assert [line.split("  ", 1)[1] for line in tidegate.out.splitlines()] == [
        "woke                web woke\\x1b[2J",
        "slept               api sleeps",
    ]
    assert tidegate("events", "api", "--json", "--admin", served.url) == 0
    (line,) = tidegate.out.splitlines()
    assert (json.loads(line)["id"], json.loads(line)["kind"]) == (2, "slept")


def test_logs_are_lines_behind_the_name_of_the_replica(tidegate: Said, served: Served) -> None:
    assert tidegate("logs", "web", "--tail", "5", "--admin", served.url) == 0
    assert tidegate.out == "web-1 | hello\nweb-2 | oh no\n"
    assert served.plane.asked_logs == ("web", 5, False)
    assert tidegate("logs", "web", "--json", "--admin", served.url) == 0
    assert [json.loads(line)["stream"] for line in tidegate.out.splitlines()] == [
        "stdout",
        "stderr",
    ]


def test_logs_that_break_off_fail(tidegate: Said, served: Served) -> None:
    served.plane.logs_fail = RuntimeFailure("engine-unavailable", "the engine went away")
    assert tidegate("logs", "web", "--admin", served.url) == 1
    assert tidegate.out == "web-1 | hello\nweb-2 | oh no\n"
    assert tidegate.err == "tidegate: the engine went away\n"


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "web", "--watch"],
        ["explain", "web"],
        ["scale", "web", "1"],
        ["scale", "web", "auto"],
        ["reload"],
        ["events", "-f"],
        ["logs", "web"],
    ],
)
def test_nobody_there_is_one_line_and_exit_code_1(tidegate: Said, command: list[str]) -> None:
    with dead_port() as address:
        url = f"http://{address}"
        assert tidegate(*command, "--admin", url) == 1
    assert tidegate.err == f"tidegate: no Tidegate answers at {url}: is it running?\n"
    assert tidegate.out == ""


def test_the_token_comes_from_its_file(tidegate: Said, elsewhere: Path) -> None:
    token = elsewhere / "token"
    with serving(token="s3cret") as served:
        assert tidegate("status", "--admin", served.url) == 1
        assert "--token-file" in tidegate.err
        token.write_text("wrong\n")
        assert tidegate("status", "--admin", served.url, "--token-file", str(token)) == 1
        token.write_text("s3cret\n")
        assert tidegate("status", "--admin", served.url, "--token-file", str(token)) == 0

        address = served.url.removeprefix("http://")
        (elsewhere / "tidegate.yaml").write_text(
            f"admin:\n  listen: {address}\n  token_file: token\nservices: {{}}\n"
        )
        assert tidegate("status") == 0


def test_the_url_may_come_from_the_environment(
    tidegate: Said, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_ADMIN", served.url)
    assert tidegate("status") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "--admin", "ftp://x"], "must be a URL"),
        (["status", "--config", "gone.yaml"], "gone.yaml: there is no such file"),
        (["status", "--token-file", "gone"], "cannot read the token file"),
        (["status", "--nope"], "No such option"),
        (["nope"], "No such command"),
        (["logs"], "Missing argument"),
        (["logs", "web", "--tail", "-1"], "--tail"),
        (["run", "--log-level", "loud"], "--log-level"),
    ],
)
def test_wrong_use_is_exit_code_2(tidegate: Said, arguments: list[str], words: str) -> None:
    assert tidegate(*arguments) == 2
    assert words in tidegate.err
