"""Files that are small and mean to be large: refused at once, with little memory.

"Billion laughs": aliases of aliases, each nine times. Thirty levels of it would be 9^30 items.
"""

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import disk, loader
from config.errors import ConfigError

LEVELS = 30
PLACES = [
    "owner: {it}",
    "gateway: {it}",
    "gateway: {{listen: {it}, tls: {it}, limits: {{body: {it}}}}}",
    "runtime: {it}",
    "runtime: {{docker: {it}}}",
    "defaults: {it}",
    "defaults: {{env: {it}, hosts: {it}}}",
    "unknown: {it}",
    "services: {it}",
    "services: {{web: {it}}}",
    "services: {{web: {{command: {it}}}}}",
    "services: {{web: {{command: app, env: {it}, labels: {it}, hosts: {it}, paths: {it}}}}}",
    "services: {{web: {{command: app, scaling: {it}}}}}",
    "services: {{web: {{command: app, scaling: {{rules: {it}}}}}}}",
    "services: {{web: {{command: app, scaling: {{rules: [{{metric: custom, options: {it}}}]}}}}}}",
    "services: {{web: {{command: app, health: {it}, depends_on: {it}, group: {it}}}}}",
    "services: {{web: {{command: app, volumes: {it}, secrets: {it}, tmpfs: {it}, user: {it}}}}}",
    "services: {{web: {{command: app, {it}: b}}}}",
]
SERVICE = "services: {web: {command: app}}"


def lists(level: int) -> str:
    return f"[{', '.join([f'*a{level - 1}'] * 9)}]" if level else "[ha, ha]"


def mappings(level: int) -> str:
    inner = ", ".join(f"k{number}: *a{level - 1}" for number in range(9))
    return f"{{{inner}}}" if level else "{ha: ha}"


def merges(level: int) -> str:
    return f"{{<<: {lists(level)}, k{level}: 1}}" if level else "{ha: ha}"


def bomb(kind: Callable[[int], str], place: str) -> str:
    anchors = [f"x-a{level}: &a{level} {kind(level)}" for level in range(LEVELS)]
    rest = [] if place.startswith("services") else [SERVICE]
    return "\n".join([*anchors, place.format(it=f"*a{LEVELS - 1}"), *rest, ""])


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A gigabyte more than we have: what blows up fails, and takes nobody with it."""
    had = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), had[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, had)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [lists, mappings, merges])
def test_a_bomb_of_aliases_is_refused_at_once(kind: Callable[[int], str], place: str) -> None:
    begun = time.process_time()
    with pytest.raises(ConfigError) as refused:
        loader.parse(bomb(kind, place), Path("bomb.yaml"))
    assert time.process_time() - begun < 2
    assert len(str(refused.value)) < 100_000


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_with_its_line(opening: str) -> None:
    with pytest.raises(ConfigError, match=r"deep\.yaml:1: .*levels in each other|deep\.yaml:"):
        loader.parse("services: " + opening * 100_000, Path("deep.yaml"))


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="larger than 64 MiB: is it the right file"):
        loader.load(Path("/dev/zero"))


def test_an_environment_file_without_end_is_not_read_to_its_end() -> None:
    text = "services: {web: {command: app, env_file: /dev/zero}}"
    with pytest.raises(ConfigError, match="/dev/zero is larger than 1 MiB"):
        loader.parse(text, Path("t.yaml"))


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system [id]", "!!python/name:os.system x"]
)
def test_a_tag_makes_no_object(tag: str) -> None:
    with pytest.raises(ConfigError, match="a tag that has no meaning here"):
        loader.parse(f"services: {{web: {tag}}}", Path("t.yaml"))


def test_the_limits_are_as_documented() -> None:
    assert (loader.LARGEST, disk.LARGEST) == (64 << 20, 1 << 20)
