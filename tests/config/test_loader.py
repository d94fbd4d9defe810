"""A file becomes settings: its defaults, its texts as written, the files around it, its reading."""

import codecs
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import loader
from config.errors import ConfigError, Problem
from config.service import StartupProbe
from tests.config.parsing import ENVIRON, parse, said_of, web

NOBODY = 65534  # the uid that owns nothing


class TestDefaultsOfAFile:
    def test_a_service_of_one_line_is_complete(self) -> None:
        service = web("command: app --port $PORT")
        assert service.command == ("app", "--port", "$PORT")
        assert service.hosts == ("web.localhost",)
        assert service.health.startup == StartupProbe()
        assert service.health.readiness is None

    def test_the_owner_is_the_folder_and_a_hash_of_the_path(self) -> None:
        """Like Compose's project name, but two checkouts of one name differ."""
        owner = parse("services: {a: {command: x}}", Path("/srv/My Shop!/t.yaml")).owner
        other = parse("services: {a: {command: x}}", Path("/opt/My Shop!/t.yaml")).owner
        assert owner.startswith("my-shop-")
        assert len(owner) == len("my-shop-") + 6
        assert owner != other
        assert parse(f"owner: {owner}\nservices: {{a: {{command: x}}}}").owner == owner

    def test_a_file_in_the_root_folder_has_an_owner_too(self) -> None:
        assert loader.default_owner(Path("/tidegate.yaml")).startswith("tidegate-")

    @pytest.mark.parametrize(
        ("environ", "state"),
        [
            ({"HOME": "/home/op"}, "/home/op/.local/state/tidegate/shop"),
            ({"HOME": "/home/op", "XDG_STATE_HOME": "/var/x"}, "/var/x/tidegate/shop"),
            ({"HOME": "/home/op", "XDG_STATE_HOME": "x"}, "/home/op/.local/state/tidegate/shop"),
            (
                {"STATE_DIRECTORY": "/var/lib/tidegate:/var/lib/b", "XDG_STATE_HOME": "/var/x"},
                "/var/lib/tidegate/shop",
            ),
            ({"HOME": "/home/op", "STATE_DIRECTORY": "x"}, "/home/op/.local/state/tidegate/shop"),
        ],
    )
    def test_state_is_kept_where_systemd_says_or_by_the_xdg_specification(
        self, environ: dict[str, str], state: str
    ) -> None:
        text = "owner: shop\nservices: {a: {command: x}}"
        assert loader.parse(text, Path("/srv/t.yaml"), environ).state_dir == state

    def test_a_written_state_dir_starts_at_the_file(self) -> None:
        settings = parse("state_dir: ../state\nservices: {a: {command: x}}")
        assert settings.state_dir == "/srv/state"

    def test_endpoints_are_probed_unless_said_otherwise(self) -> None:
        probed = web("endpoints: 10.0.0.7:80").health.readiness
        assert probed is not None
        assert (probed.tcp, probed.every) == (True, 5.0)
        other = web("endpoints: 10.0.0.7:80\nhealth: {readiness: {http: /up}}").health.readiness
        assert other is not None
        assert (other.tcp, other.http) == (False, "/up")
        assert web("endpoints: a:80\nhealth: {readiness: null}").health.readiness is None

    @pytest.mark.parametrize(
        ("written", "runtime", "network"),
        [
            ("process", "process", None),
            ("docker", "docker", None),
            ("{docker: {network: front}}", "docker", "front"),
            ("{docker: {}}", "docker", None),
        ],
    )
    def test_a_runtime_is_a_name_or_a_mapping(
        self, written: str, runtime: str, network: str | None
    ) -> None:
        settings = parse(f"runtime: {written}\nservices: {{a: {{endpoints: 'a:1'}}}}")
        assert (settings.runtime, settings.docker.network) == (runtime, network)

    def test_a_listener_without_a_host_is_every_address(self) -> None:
        settings = parse("gateway: {listen: ':80'}\nservices: {a: {command: x}}")
        assert settings.gateway.listen == ("0.0.0.0:80",)

    @pytest.mark.parametrize("workers", [0, 1, 4, "auto"])
    def test_workers_are_a_number_or_auto(self, workers: int | str) -> None:
        settings = parse(f"gateway: {{workers: {workers}}}\nservices: {{a: {{command: x}}}}")
        assert settings.gateway.workers == workers


class TestWhatIsWritten:
    """YAML 1.2: no word becomes a truth, no text a number."""

    def test_values_of_env_are_the_text_as_written(self) -> None:
        service = web(
            "command: app\nenv: {A: on, B: yes, C: 1.10, D: 0x1F, E: true, F: 1:30, G: ''}"
        )
        assert dict(service.env) == {
            "A": "on",
            "B": "yes",
            "C": "1.10",
            "D": "0x1F",
            "E": "true",
            "F": "1:30",
            "G": "",
        }

    def test_words_of_a_command_are_the_text_as_written(self) -> None:
        assert web("command: [sleep, 1.50]").command == ("sleep", "1.50")
        probe = web("command: a\nhealth: {startup: {exec: [test, 010]}}").health.startup
        assert probe.exec == ("test", "010")

    def test_a_command_in_one_text_is_split_but_never_substituted(self) -> None:
        command = web("command: sh -c 'exec app \"$PORT\"' ${HOME} $$").command
        assert command == ("sh", "-c", 'exec app "$PORT"', "${HOME}", "$$")

    def test_off_is_a_word(self) -> None:
        assert parse("gateway: {access_log: off}\nservices: {a: {command: x}}")

    def test_a_service_may_be_named_like_a_key(self) -> None:
        settings = parse("services: {env: {command: a, port: 81}, labels: {command: b}}")
        assert settings.services["env"].port == 81

    def test_one_text_stands_for_a_list_of_one(self) -> None:
        assert web("command: a\nhosts: Shop.Example.\npaths: /a").hosts == ("shop.example",)

    def test_anchors_have_a_place_in_extensions(self) -> None:
        """Compose: keys that begin with x- are the writer's own."""
        text = "x-a: &a {drain: 5s}\nservices: {a: {<<: *a, command: x}}"
        assert parse(text).services["a"].drain == 5.0


class TestFilesAround:
    def test_environment_files_lie_under_env_and_the_later_ones_win(self, tmp_path: Path) -> None:
        (tmp_path / "one.env").write_text("A=1\nB=1\nC=1\n")
        (tmp_path / "two.env").write_text("B=2\nC=2\n")
        text = "services: {a: {command: x, env_file: [one.env, two.env], env: {C: 3}}}"
        service = parse(text, tmp_path / "t.yaml").services["a"]
        assert dict(service.env) == {"A": "1", "B": "2", "C": "3"}

    def test_a_wrong_line_of_an_environment_file_is_named_but_not_shown(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "one.env").write_text("A=1\nhunter2\n")
        said = said_of("services: {a: {command: x, env_file: one.env}}", tmp_path / "t.yaml")
        assert said.endswith(f"{tmp_path}/one.env:2: must be NAME=VALUE")
        assert "hunter2" not in said

    def test_an_environment_file_of_the_defaults_is_complained_about_once(self) -> None:
        text = "defaults: {env_file: gone}\nservices:\n  a: {command: x}\n  b: {command: x}\n"
        assert said_of(text).splitlines() == [
            "/srv/shop/tidegate.yaml:1: defaults.env_file[0]: there is no file /srv/shop/gone"
        ]

    def test_secrets_and_volumes_start_at_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("hunter2")
        text = (
            "runtime: docker\nservices: {a: {image: x, volumes: ['./d:/d:ro', 'n:/n', '/h:/h'],"
            " secrets: [{source: key, target: /run/secrets/key}]}}"
        )
        service = parse(text, tmp_path / "t.yaml").services["a"]
        assert service.volumes == (f"{tmp_path}/d:/d:ro", "n:/n", "/h:/h")
        assert service.secrets[0].source == f"{tmp_path}/key"

    def test_the_token_file_starts_at_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("hunter2")
        text = "admin: {listen: ':9900', token_file: token}\nservices: {a: {command: x}}"
        assert parse(text, tmp_path / "t.yaml").admin.token_file == f"{tmp_path}/token"


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's right to read everything; whoever is not root has no such right anyway."""
    before = os.geteuid()
    # Whoever owns nothing may not even look into Python's own folder to load it.
    codecs.lookup("utf-8-sig")
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


class TestLoading:
    @pytest.fixture
    def open_folder(self) -> Iterator[Path]:
        """One that everybody may look into: pytest's own are closed to others."""
        with tempfile.TemporaryDirectory(prefix="tidegate-test-", dir="/tmp") as name:
            folder = Path(name)
            folder.chmod(0o755)
            yield folder

    def problem(self, path: Path) -> Problem:
        with pytest.raises(ConfigError) as caught:
            loader.load(path, ENVIRON)
        (problem,) = caught.value.problems
        return problem

    def test_a_good_file(self, tmp_path: Path) -> None:
        file = tmp_path / "tidegate.yaml"
        file.write_bytes(b"\xef\xbb\xbfservices: {a: {command: x}}")
        assert list(loader.load(file, ENVIRON).services) == ["a"]

    def test_no_such_file(self, tmp_path: Path) -> None:
        said = str(self.problem(tmp_path / "gone.yaml"))
        assert said.startswith(f"{tmp_path}/gone.yaml: there is no such file")
        assert "--config FILE or TIDEGATE_CONFIG" in said

    def test_a_directory(self, tmp_path: Path) -> None:
        assert "is a directory" in str(self.problem(tmp_path))

    def test_a_file_as_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("")
        assert self.problem(tmp_path / "f" / "t.yaml").message == "cannot be read: Not a directory"

    def test_a_file_that_may_not_be_read(self, open_folder: Path) -> None:
        file = open_folder / "t.yaml"
        file.write_text("services: {a: {command: x}}")
        with unprivileged():
            assert loader.load(file, ENVIRON)
        file.chmod(0)
        with unprivileged():
            problem = self.problem(file)
        assert problem.message == "cannot be read: Permission denied"

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "t.yaml"
        file.write_bytes(b"a: 1\nb: \xff\n")
        assert str(self.problem(file)) == f"{file}:2: is not UTF-8 text"

    def test_a_name_with_a_nul(self) -> None:
        assert self.problem(Path("a\0b")).message.startswith("cannot be read")
