"""Which Tidegate a command talks to, and with which token."""

from pathlib import Path

import pytest

from tidegate.cli_target import DEFAULT, Target, WrongUse, find_target, url_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def target(text: str, folder: Path) -> Target:
    (folder / "tidegate.yaml").write_text(text)
    return find_target(None, None, None, {})


def test_without_a_file_it_is_the_usual_place() -> None:
    assert find_target(None, None, None, {}) == Target(DEFAULT)


def test_a_file_that_was_named_must_be_there() -> None:
    with pytest.raises(WrongUse, match=r"gone\.yaml: there is no such file"):
        find_target(None, None, "gone.yaml", {})


@pytest.mark.parametrize(
    "text",
    [
        "admin:\n  listen: 127.0.0.1:9901\nservices: {}\n",
        "services: {}\nadmin: {listen: '127.0.0.1:9901'}\n",
        "# admin: x\nadmin:\n# a comment at the edge\n  listen: 127.0.0.1:9901\n\nservices: {}",
        "services:\n  admin:\n    listen: 1.1.1.1:1\nadmin:\n  listen: 127.0.0.1:9901\n",
        "admin:\n  listen: 127.0.0.1:9901\nservices: {web: [}\n",  # broken further on
        "\ufeffadmin:\n  listen: 127.0.0.1:9901\n",
    ],
)
def test_the_file_tells_where(folder: Path, text: str) -> None:
    assert target(text, folder) == Target("http://127.0.0.1:9901")


@pytest.mark.parametrize(
    "text", ["", "services: {}\n", "admin:\n", "admin: [\n", "admin: x\n", "admin: {listen: 3}\n"]
)
def test_a_file_that_does_not_tell_means_the_usual_place(folder: Path, text: str) -> None:
    assert target(text, folder) == Target(DEFAULT)


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:9900", "http://127.0.0.1:9900"),
        (":9900", "http://127.0.0.1:9900"),
        ("0.0.0.0:9900", "http://127.0.0.1:9900"),
        ("[::]:9900", "http://[::1]:9900"),
        ("[::1]:9900", "http://[::1]:9900"),
        ("10.0.0.7:9900", "http://10.0.0.7:9900"),
    ],
)
def test_the_url_of_what_listens(listen: str, url: str) -> None:
    assert url_of(listen) == url


def test_the_token_file_of_the_file_stands_beside_it(folder: Path) -> None:
    (folder / "token").write_text("s3cret\n")
    found = target("admin: {token_file: token}\n", folder)
    assert found.token_file == folder / "token"
    assert found.token() == "s3cret"


def test_the_token_of_the_file_is_not_sent_elsewhere(folder: Path) -> None:
    (folder / "tidegate.yaml").write_text("admin: {token_file: token}\n")
    assert find_target("http://other:9900", None, None, {}) == Target("http://other:9900")
    own = Path("own")
    assert find_target("http://other:9900", own, None, {}) == Target("http://other:9900", own)


def test_a_token_file_that_cannot_be_read_is_wrong_use(folder: Path) -> None:
    with pytest.raises(WrongUse, match="cannot read the token file"):
        Target(DEFAULT, folder / "gone").token()
