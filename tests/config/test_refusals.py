"""What is refused, how it is said, and where exactly the bounds are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from config.errors import ConfigError
from tests.config.parsing import said_of, web

REFUSALS = Path(__file__).with_name("refusals.txt")


def refusals() -> Sequence[object]:
    rows = []
    for row in REFUSALS.read_text(encoding="utf-8").split("\n=== ")[1:]:
        title, _, rest = row.partition("\n")
        text, _, said = rest.partition("--- says\n")
        rows.append(pytest.param(text, said.strip(), id=title))
    return rows


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


def test_the_share_of_a_process_is_measured_by_its_resources() -> None:
    """They limit nothing there, so without such a rule they are refused."""
    text = "command: app\nresources: {cpu: 2, memory: 64MiB}\n"
    with pytest.raises(ConfigError, match="needs a container runtime"):
        web(text)
    for rule in ("{metric: memory}", "{metric: cpu}"):
        assert web(f"{text}scaling: {{rules: [{rule}]}}").resources.cpu == 2


@pytest.mark.parametrize("wrong_first", [True, False])
def test_what_was_found_in_one_file_is_not_said_of_another(wrong_first: bool) -> None:
    """Answers are remembered by value: two that differ only in what they leave out are two."""
    every = 3600 + wrong_first  # seconds that nobody has asked about yet
    right = f"command: x\nhealth: {{readiness: {{tcp: true, every: {every}s}}}}"
    wrong = f"command: x, health: {{readiness: {{tcp: true, every: {every}s, headers: {{}}}}}}"
    for is_wrong in (wrong_first, not wrong_first):
        if is_wrong:
            said = said_of(f"services: {{web: {{{wrong}}}}}")
            assert "readiness.headers: does not go with tcp: remove it" in said
        else:
            web(right)
