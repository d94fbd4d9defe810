"""One small file for each service: private, whole or not at all, and never a reason to stop."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from cluster.events import Events
from cluster.state_folder import StateFolder, Wording

WORDING = Wording("what was counted of", "it is counted anew", "counts")


@dataclass(frozen=True, slots=True)
class Count:
    number: int = 0
    by_day: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class Ground:
    folder: Path
    events: Events = field(default_factory=lambda: Events(lambda: 0.0))

    def opened(self) -> StateFolder[Count]:
        """As the next process finds it."""
        return StateFolder(self.folder, TypeAdapter(Count), WORDING, self.events)

    @property
    def told(self) -> list[str]:
        return [one.kind for one in self.events.since()]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path / "state" / "counts")


def test_what_was_saved_is_loaded_by_the_next_process(ground: Ground) -> None:
    ground.opened().save("web", Count(3, {7: 0.5}))
    ground.opened().save("api", Count(4))
    found = ground.opened()
    assert found.services == {"web", "api"}
    assert found.load("web") == Count(3, {7: 0.5})
    assert found.load("mail") is None
    assert ground.told == []


def test_it_is_for_the_owner_alone(ground: Ground) -> None:
    before = os.umask(0)
    try:
        ground.opened().save("web", Count())
    finally:
        os.umask(before)
    assert ground.folder.stat().st_mode & 0o777 == 0o700
    assert [(one.name, one.stat().st_mode & 0o777) for one in ground.folder.iterdir()] == [
        ("web.json", 0o600)
    ]


def test_nothing_is_read_before_it_is_asked_for(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("web", "api"):
        ground.opened().save(name, Count(1))
    read: list[str] = []
    read_bytes = Path.read_bytes

    def noted(file: Path) -> bytes:
        read.append(file.name)
        return read_bytes(file)

    monkeypatch.setattr(Path, "read_bytes", noted)
    found = ground.opened()
    assert read == []
    assert found.load("web") == Count(1)
    assert read == ["web.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"number": "canary"}', "\0" * 100])
def test_a_damaged_file_is_told_without_its_content_and_harms_no_other(
    ground: Ground, content: str
) -> None:
    for name in ("web", "api"):
        ground.opened().save(name, Count(1))
    (ground.folder / "web.json").write_text(content)
    found = ground.opened()
    assert found.load("web") is None
    assert found.load("api") == Count(1)
    (happening,) = ground.events.since()
    assert (happening.kind, happening.service) == ("state-unreadable", "web")
    assert happening.message == (
        "what was counted of web cannot be read, it is damaged; it is counted anew"
    )
    found.save("web", Count(2))
    assert ground.opened().load("web") == Count(2)


def test_what_is_too_large_is_not_read(ground: Ground) -> None:
    ground.opened().save("web", Count(1))
    os.truncate(ground.folder / "web.json", 2**30)
    assert ground.opened().load("web") is None
    assert "too large" in ground.events.since()[0].message


def test_what_cannot_be_written_is_told_once_until_it_can_be_again(ground: Ground) -> None:
    ground.folder.parent.mkdir()
    ground.folder.write_text("a file, and no folder")
    found = ground.opened()
    for _ in range(3):
        found.save("web", Count())
    assert ground.told == ["state-not-written"]
    assert "would forget counts" in ground.events.since()[0].message
    ground.folder.unlink()
    found.save("web", Count())
    (ground.folder / "web.json").unlink()
    ground.folder.rmdir()
    ground.folder.write_text("a file again")
    found.save("web", Count())
    assert ground.told == ["state-not-written"] * 2


def test_what_is_removed_is_gone_with_its_file(ground: Ground) -> None:
    found = ground.opened()
    for name in ("web", "api", "mail"):
        found.save(name, Count(1))
    found.remove("web")
    found.remove("web")
    found.keep_only({"api"})
    assert found.services == {"api"}
    assert found.load("web") is None
    assert os.listdir(ground.folder) == ["api.json"]


def test_what_lies_about_is_nobodys(ground: Ground) -> None:
    """A draft that a crash has left, say."""
    ground.folder.mkdir(parents=True)
    (ground.folder / "web.new").write_text("{}")
    assert ground.opened().services == frozenset()
    assert ground.opened().load("web") is None
