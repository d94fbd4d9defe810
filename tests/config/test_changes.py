"""What a reload changes, and what needs a restart."""

from pathlib import Path

import pytest

from config import loader
from config.changes import Changes, diff
from config.settings import Settings


def settings(text: str) -> Settings:
    return loader.parse(text, Path("/srv/tidegate.yaml"), {"HOME": "/root"})


BASE = "services:\n  a: {command: x}\n  b: {command: y}\n"


def test_the_same_file_changes_nothing() -> None:
    changes = diff(settings(BASE), settings("# again\n" + BASE))
    assert changes == Changes()
    assert not changes


def test_services_come_go_and_change() -> None:
    new = settings("services:\n  c: {command: x}\n  b: {command: z}\n")
    changes = diff(settings(BASE), new)
    assert changes == Changes(added=("c",), removed=("a",), changed=("b",))
    assert changes


def test_defaults_change_the_services_under_them() -> None:
    assert diff(settings(BASE), settings("defaults: {drain: 1s}\n" + BASE)).changed == ("a", "b")


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('gateway: {listen: ":81", limits: {body: 1MiB}}', ("gateway.listen",)),
        ("gateway: {workers: 0}", ("gateway.workers",)),
        ('admin: {listen: "127.0.0.1:9"}', ("admin.listen",)),
        ("owner: me\nstate_dir: /s", ("owner", "state_dir")),
        ("owner: me", ("owner", "state_dir")),
    ],
)
def test_what_is_read_once_needs_a_restart(text: str, paths: tuple[str, ...]) -> None:
    assert diff(settings(BASE), settings(f"{text}\n{BASE}")).restart_needed == paths


def test_another_engine_needs_a_restart() -> None:
    services = "services: {a: {endpoints: 'a:1'}}"
    docker = settings(f"runtime: {{docker: {{network: front}}}}\n{services}")
    paths = diff(settings(services), docker).restart_needed
    assert paths == ("runtime", "runtime.docker.network")


def test_limits_proxies_and_the_log_of_the_gateway_change_while_it_runs() -> None:
    text = "gateway: {limits: {body: 1MiB}, trusted_proxies: 10.0.0.0/8, access_log: json}\n"
    changes = diff(settings(BASE), settings(text + BASE))
    assert changes.restart_needed == ()
    assert changes.live == (
        "gateway.trusted_proxies",
        "gateway.limits.body",
        "gateway.access_log",
    )
    assert changes


def test_what_is_recorded_changes_while_it_runs() -> None:
    changes = diff(settings(BASE), settings("recording: {keep: 1h, size: 1MiB}\n" + BASE))
    assert (changes.restart_needed, changes.live) == ((), ("recording.keep", "recording.size"))


def test_what_the_host_may_bear_changes_while_it_runs() -> None:
    changes = diff(settings(BASE), settings("host: {starts: 3, memory: 80%}\n" + BASE))
    assert (changes.restart_needed, changes.live) == ((), ("host.starts", "host.memory"))


@pytest.mark.parametrize(
    ("without", "written"),
    [
        ("", "health: {startup: {tcp: true}}"),
        ("health: {startup: {every: 1s}}", "health: {startup: {every: 1s, deadline: 1m}}"),
        ("scaling: {policy: kpa}", "scaling: {policy: kpa, stable_window: 1m}"),
    ],
)
def test_a_default_that_is_written_down_is_a_change_where_that_means_something(
    without: str, written: str
) -> None:
    before, after = (settings(f"defaults: {{{text}}}\n{BASE}") for text in (without, written))
    assert diff(before, after).changed == diff(after, before).changed == ("a", "b")
    assert not diff(after, settings(f"defaults: {{{written}}}\n{BASE}"))


def test_another_token_is_taken_over_and_none_at_all_needs_a_restart() -> None:
    with_token = settings(f"admin: {{token_file: {__file__}}}\n{BASE}")
    assert diff(settings(BASE), with_token).live == ("admin.token_file",)
    gone = diff(with_token, settings(BASE))
    assert (gone.live, gone.restart_needed) == ((), ("admin.token_file",))
