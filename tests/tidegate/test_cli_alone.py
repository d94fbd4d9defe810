"""What the command line does without a running Tidegate."""

import json
from pathlib import Path

import pytest

from tests.tidegate.conftest import Said
from tidegate import __version__

pytestmark = pytest.mark.usefixtures("elsewhere")

GOOD = "services:\n  web:\n    command: [python3, app.py]\n"
WRONG = "services:\n  web:\n    comand: [x]\n    port: none\n"


def test_check_of_a_good_file(tidegate: Said, elsewhere: Path) -> None:
    (elsewhere / "tidegate.yaml").write_text(GOOD)
    assert tidegate("check") == 0
    assert tidegate.out == "OK: 1 service\n"
    assert tidegate("check", "--json") == 0
    assert json.loads(tidegate.out) == {
        "ok": True,
        "services": 1,
        "problems": [],
        "warnings": [],
    }


def test_check_warns_of_what_is_unwise_and_says_ok(tidegate: Said, elsewhere: Path) -> None:
    (elsewhere / "tidegate.yaml").write_text(f"{GOOD}    concurrency: 1\n")
    assert tidegate("check") == 0
    assert tidegate.out == "OK: 1 service, 1 warning\n"
    assert tidegate.err.startswith("tidegate.yaml:4: warning: services.web.concurrency: 1 is ")
    assert tidegate("check", "--json") == 0
    (warning,) = json.loads(tidegate.out)["warnings"]
    assert ":4: warning: services.web.concurrency" in warning
    assert tidegate.err == ""


def test_check_tells_every_problem_with_its_line(tidegate: Said, elsewhere: Path) -> None:
    (elsewhere / "wrong.yaml").write_text(WRONG)
    assert tidegate("check", "--config", "wrong.yaml") == 2
    assert tidegate.out == ""
    assert tidegate.err.splitlines()[0].startswith("wrong.yaml:")
    assert "services.web.comand" in tidegate.err
    assert "services.web.port" in tidegate.err
    assert tidegate("check", "--config", "wrong.yaml", "--json") == 2
    assert json.loads(tidegate.out)["ok"] is False


def test_check_without_a_file_is_exit_code_2(tidegate: Said) -> None:
    assert tidegate("check") == 2
    assert "there is no such file" in tidegate.err


def test_schema_is_json_schema(tidegate: Said) -> None:
    assert tidegate("schema") == 0
    assert "services" in json.loads(tidegate.out)["properties"]


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_version(tidegate: Said, arguments: list[str]) -> None:
    assert tidegate(*arguments) == 0
    assert tidegate.out == f"tidegate {__version__}\n"


def test_run_hands_its_options_on(
    tidegate: Said, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    from tidegate import run

    seen: list[tuple[object, ...]] = []

    def main(*arguments: object) -> int:
        seen.append(arguments)
        return 3

    monkeypatch.setattr(run, "main", main)
    assert tidegate("run", "--config", "a.yaml", "--keep-replicas", "--log-format", "json") == 3
    assert tidegate("run") == 3
    assert seen == [
        (Path("a.yaml"), True, "json", "info"),
        (Path("tidegate.yaml"), False, "text", "info"),
    ]


def test_a_bug_is_told_without_a_trace_unless_asked_for(
    tidegate: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr("tidegate.cli_running.find_target", fail)
    assert tidegate("status") == 1
    assert "internal error: RuntimeError: oops" in tidegate.err
    assert "Traceback" not in tidegate.err
    monkeypatch.setenv("TIDEGATE_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="oops"):
        tidegate("status")
