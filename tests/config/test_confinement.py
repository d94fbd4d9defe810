"""Keys that confine: what they take, and that no text of a file drives a terminal."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.workload import workload_of
from config.confinement import CAPABILITIES, capability, tmpfs, user
from config.loader import parse
from config.printable import printable
from config.wording import shown


@given(st.text())
def test_nothing_that_is_shown_drives_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert shown(text).isprintable()


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P"])))
def test_what_can_be_printed_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("name", sorted(CAPABILITIES))
def test_a_capability_is_known_by_both_of_its_names(name: str) -> None:
    assert capability(name) == capability(f"CAP_{name}") == capability(name.lower()) == name


@given(st.text())
def test_no_other_text_is_a_capability(text: str) -> None:
    known = text.upper().removeprefix("CAP_")
    if known not in CAPABILITIES and known != "ALL":
        with pytest.raises(ValueError, match="capability"):
            capability(text)


@pytest.mark.parametrize("text", ["app", "1000", "1000:1000", "app:www-data", "_apt", "a.b:c.d"])
def test_a_user_with_or_without_group(text: str) -> None:
    assert user(text) == text


@pytest.mark.parametrize(
    "text", ["", ":", "a:", ":b", "a:b:c", "a b", "-a", "a\n", "a/b", "a" * 33]
)
def test_what_is_no_user(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        user(text)


@pytest.mark.parametrize(
    "text", ["/tmp", "/run:size=16m", "/a b:mode=1777,uid=1,gid=2", "/x:ro,noexec,nosuid,nodev"]
)
def test_a_folder_in_memory(text: str) -> None:
    assert tmpfs(text) == text


@pytest.mark.parametrize(
    "text", ["", "/", "tmp", "/t:size=-1", "/t:mode=999", "/t:bind", "/t\n", "/t:size=1m;x", "/t:,"]
)
def test_what_is_no_folder_in_memory(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|unknown option"):
        tmpfs(text)


def test_what_is_written_reaches_the_workload() -> None:
    settings = parse(
        """
runtime: docker
defaults: {cap_drop: all, read_only: true}
services:
  web:
    image: web:1
    user: 1000
    cap_add: CAP_NET_BIND_SERVICE
    tmpfs: ["/tmp", "/run:size=16m"]
    init: true
""",
        Path("t.yaml"),
    )
    workload = workload_of(settings.services["web"])
    assert (workload.user, workload.read_only, workload.init) == ("1000", True, True)
    assert (workload.cap_drop, workload.cap_add) == (("ALL",), ("NET_BIND_SERVICE",))
    assert workload.tmpfs == ("/tmp", "/run:size=16m")
    assert settings.warnings == ()
