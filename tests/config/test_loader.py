"""The configuration as a whole: what is accepted, what is refused and how, and what it costs."""

import gc
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from config import loader
from config.errors import ConfigError, Problem
from config.service import Service, StartupProbe
from config.settings import Settings
from tests.config.contract import CONTRACT, NOT_YET

REFUSALS = Path(__file__).with_name("refusals.txt")
ENVIRON = {"HOME": "/home/op"}
FILE = Path("/srv/shop/tidegate.yaml")


def refusals() -> Sequence[object]:
    rows = []
    for row in REFUSALS.read_text(encoding="utf-8").split("\n=== ")[1:]:
        title, _, rest = row.partition("\n")
        text, _, said = rest.partition("--- says\n")
        rows.append(pytest.param(text, said.strip(), id=title))
    return rows


def parse(text: str, file: Path = FILE) -> Settings:
    return loader.parse(text, file, ENVIRON)


def web(text: str) -> Service:
    """The service of a file in which it is the only one."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return parse(f"services:\n  web:\n{lines}").services["web"]


def said_of(text: str, file: Path = FILE) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, file)
    return str(caught.value)


@pytest.mark.parametrize(("text", "said"), refusals())
def test_a_wrong_file_is_refused_with_every_error_and_its_line(
    text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "tidegate.yaml"
    assert said_of(text, file).replace(str(file), "FILE").replace(str(tmp_path), "FOLDER") == said


def test_the_table_of_refusals_is_large_and_nothing_in_it_repeats() -> None:
    rows = refusals()
    assert len(rows) > 140
    assert len({getattr(row, "id", None) for row in rows}) == len(rows)


def test_no_message_speaks_the_language_of_a_library() -> None:
    text = REFUSALS.read_text(encoding="utf-8").lower()
    for word in ("pydantic", "input should", "valid dict", "http://errors", "nonetype", "yaml.org"):
        assert word not in text


@pytest.mark.parametrize(
    "text",
    [
        "env: {TOKEN: [hunter2]}",
        "env: {TOKEN: *hunter2}",
        "env: {TOKEN: !hunter2 x}",
        "env: TOKEN=hunter2",
        "env: [TOKEN=hunter2]",
        'env: {TOKEN: "hunter2\\0"}',
        'env: {TOKEN: "hunter2}',
        "env: {TOKEN: @hunter2}",
        "env: {TOKEN: a: hunter2}",
        "command: app --token 'hunter2",
    ],
)
def test_what_may_be_secret_is_never_repeated(text: str) -> None:
    assert "hunter2" not in said_of(f"services:\n  web:\n    command: app\n    {text}\n")


def test_a_control_character_has_its_line() -> None:
    assert said_of("services:\n  web: \x07\n").endswith(":2: a character that YAML does not allow")


class TestTheContract:
    """The example of the public contract, key for key."""

    def test_all_that_is_supported_is_accepted(self) -> None:
        settings = parse(CONTRACT)
        service = settings.services["web"]
        assert settings.gateway.listen == ("0.0.0.0:8080",)
        assert settings.gateway.access_log == "off"
        assert settings.gateway.limits.headers == 65536
        assert settings.runtime == "docker"
        assert service.command == ("python3", "-m", "http.server", "$PORT")
        assert service.resources.memory == 256 * 2**20
        assert [rule.metric for rule in service.scaling.rules] == ["concurrency", "rps"]
        assert service.health.readiness is not None
        assert service.health.readiness.http == "/ready"
        assert service.rollout.max_surge == 0.25

    def test_all_that_is_not_yet_is_refused_at_once(self) -> None:
        text = CONTRACT
        for old, new in NOT_YET:
            assert old in text
            text = text.replace(old, new)
        said = said_of(text).splitlines()
        assert [line.split(": ")[1] for line in said] == [
            "gateway.workers",
            "gateway.tls",
            "runtime",
            "services.web.scaling.rules[2]",
            "services.web.rollout.healthy_for",
            "services.web.rollout.deadline",
            "services.web.rollout.on_failure",
        ]
        assert all("not supported yet" in line for line in said)

    def test_every_default_of_the_example_is_our_default(self) -> None:
        """Except where the example shows a key at work."""
        shown = parse(CONTRACT).services["web"].model_dump()
        ours = Service(name="web", hosts=("web.localhost",)).model_dump()
        differing = {key for key in shown if shown[key] != ours[key]}
        assert differing == {"command", "image", "resources", "scaling", "health"}


class TestDefaultsOfAFile:
    def test_a_service_of_one_line_is_complete(self) -> None:
        service = web("command: app --port $PORT")
        assert service.command == ("app", "--port", "$PORT")
        assert service.hosts == ("web.localhost",)
        assert service.health.startup == StartupProbe(tcp=True)
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
        ],
    )
    def test_state_is_kept_by_the_xdg_specification(
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

    @pytest.mark.parametrize("workers", [0, 1])
    def test_no_worker_and_one_worker_are_supported(self, workers: int) -> None:
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


class TestFinding:
    @pytest.mark.parametrize(
        ("explicit", "environ", "found"),
        [
            ("a.yaml", {"TIDEGATE_CONFIG": "b.yaml"}, "a.yaml"),
            (None, {"TIDEGATE_CONFIG": "b.yaml"}, "b.yaml"),
            (None, {"TIDEGATE_CONFIG": ""}, "tidegate.yaml"),
            (None, {}, "tidegate.yaml"),
        ],
    )
    def test_the_option_then_the_variable_then_right_here(
        self, explicit: str | None, environ: dict[str, str], found: str
    ) -> None:
        assert loader.find(explicit, environ) == Path(found)


class TestLoading:
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

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        file = tmp_path / "t.yaml"
        file.write_text("")
        file.chmod(0)
        assert self.problem(file).message == "cannot be read: Permission denied"

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "t.yaml"
        file.write_bytes(b"a: 1\nb: \xff\n")
        assert str(self.problem(file)) == f"{file}:2: is not UTF-8 text"

    def test_a_name_with_a_nul(self) -> None:
        assert self.problem(Path("a\0b")).message.startswith("cannot be read")


WORDS = st.sampled_from(
    ["services", "web", "gateway", "scaling", "max", "env", "health", "defaults", "<<", "drain"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def accepted_or_refused(text: str) -> None:
    problems: tuple[Problem, ...] | None = None
    try:
        parse(text)
    except ConfigError as error:
        problems = error.problems
    assert problems is None or (problems and all(problem.message for problem in problems))


@hypothesis.settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%@`#,? \n\t0.~<\x00\ud800é"), max_size=40))
@example("[" * 5000)
@example("- " * 5000)
@example("a: &a [*a]")
@example("%YAML 3.0\n---\n")
@example("services: {web: {port: " + "9" * 5000 + "}}")
def test_any_text_is_accepted_or_refused_but_never_breaks(text: str) -> None:
    accepted_or_refused(text)
    accepted_or_refused("services:\n  web:\n    " + text)


@hypothesis.settings(deadline=None)
@given(st.dictionaries(WORDS, VALUES))
def test_any_values_are_accepted_or_refused_but_never_break(value: dict[str, object]) -> None:
    accepted_or_refused(yaml.safe_dump(value))
    accepted_or_refused(yaml.safe_dump({"services": {"web": value}, "defaults": value}))


def test_aliases_of_aliases_cost_nothing() -> None:
    layers = "".join(
        f"x-{n}: &l{n} {{a: *l{n - 1}, b: *l{n - 1}, env: *l{n - 1}}}\n" for n in range(1, 40)
    )
    text = f"x-0: &l0 {{a: b}}\n{layers}defaults: *l39\nservices: {{web: *l39}}\n"
    accepted_or_refused(text)


def test_sections_that_nobody_changes_exist_once() -> None:
    """What keeps ten thousand services small."""
    text = (
        "defaults: {scaling: {max: 3}, drain: 5s}\nservices:\n  a: {command: x}\n  b: {command: y}"
    )
    services = parse(text).services
    assert services["a"].scaling is services["b"].scaling
    assert services["a"].scaling.max == 3
    assert services["a"].health is services["b"].health is Service(name="c").health
    assert services["a"].drain == 5.0


def test_a_plain_service_is_small() -> None:
    """Ten thousand services are a usual installation of functions: 3 KB each is 30 MB."""
    count = 1000
    text = "services:\n" + "".join(
        f"  s{n}:\n    command: [python3, -m, http.server]\n    concurrency: 1\n"
        for n in range(count)
    )
    parse(text)
    gc.collect()
    tracemalloc.start()
    try:
        settings = parse(text)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(settings.services) == count
    assert size / count < 3 * 1024


@pytest.mark.parametrize(
    "text",
    [
        "scaling: {min: 10}",
        "scaling: {max: 1}",
        "scaling: {stable_window: 6s}",
        "scaling: {panic_window: 1s}",
        "scaling: {panic_threshold: 100.1%}",
        "scaling: {idle: {freeze_after: 59999ms}}",
        "scaling: {idle: {freeze_after: 2h, stop_after: null}}",
        "queue: {size: 0}\nscaling: {min: 1}",
        "rollout: {max_surge: 0, max_unavailable: 1}",
        "retries: {budget: 100%}",
        "port: 65535",
        "drain: 8760h",
    ],
)
def test_what_is_just_within_bounds_is_accepted(text: str) -> None:
    assert web(f"command: app\n{text}")


def test_freezing_at_the_very_moment_of_stopping_is_refused() -> None:
    text = "services: {a: {command: x, scaling: {idle: {freeze_after: 60s}}}}"
    assert said_of(text).endswith("must be less than stop_after (1m), got 1m")
