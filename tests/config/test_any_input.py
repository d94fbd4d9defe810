"""Whatever is written is accepted or refused: nothing breaks, nothing blows up."""

import hypothesis
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from config.errors import ConfigError, Problem
from tests.config.parsing import parse

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
