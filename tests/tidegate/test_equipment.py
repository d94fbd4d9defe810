"""What replicas are given to take leases: a token of their service, and where we are."""

import stat
from pathlib import Path

import pytest

from cluster.model import Address
from tidegate.equipment import Equipment, url_for
from tidegate.lease_key import NAME, LeaseKey


def test_the_secret_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    first = LeaseKey.of(tmp_path / "state")
    file = tmp_path / "state" / NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == 32
    assert LeaseKey.of(tmp_path / "state").token("web") == first.token("web")
    assert LeaseKey.of(tmp_path / "other").token("web") != first.token("web")
    assert [path.name for path in (tmp_path / "state").iterdir()] == [NAME]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 33])
def test_what_was_left_half_written_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / NAME).write_bytes(damage)
    token = LeaseKey.of(tmp_path).token("web")
    assert len((tmp_path / NAME).read_bytes()) == 32
    assert LeaseKey.of(tmp_path).token("web") == token


def test_a_secret_that_others_could_read_is_closed(tmp_path: Path) -> None:
    LeaseKey.of(tmp_path)
    (tmp_path / NAME).chmod(0o644)
    LeaseKey.of(tmp_path)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_each_service_has_a_token_of_its_own() -> None:
    key = LeaseKey(b"k" * 32)
    assert key.token("web") != key.token("we")
    assert len(key.token("web")) == 64
    assert "k" * 8 not in key.token("web")


@pytest.mark.parametrize(
    ("runtime", "admin", "url"),
    [
        ("process", "127.0.0.1:9900", "http://127.0.0.1:9900"),
        ("process", "0.0.0.0:9900", "http://127.0.0.1:9900"),
        ("process", "[::]:9900", "http://[::1]:9900"),
        ("process", "10.0.0.7:9900", "http://10.0.0.7:9900"),
        ("docker", "127.0.0.1:9900", None),
        ("docker", "[::1]:9900", None),
        ("docker", "172.17.0.1:9900", "http://172.17.0.1:9900"),
        ("docker", "0.0.0.0:9900", "http://host.docker.internal:9900"),
    ],
)
def test_where_a_replica_reaches_us(runtime: str, admin: str, url: str | None) -> None:
    assert url_for(runtime, Address.parse(admin)) == url


def test_nothing_is_given_where_nothing_could_be_reached() -> None:
    equipment = Equipment(LeaseKey(b"k" * 32), "docker")
    assert equipment.of("web") == {}
    equipment.admin_is_at(Address("127.0.0.1", 9900))
    assert equipment.of("web") == {}
    equipment.admin_is_at(Address("172.17.0.1", 9900))
    assert set(equipment.of("web")) == {"TIDEGATE_URL", "TIDEGATE_LEASE_TOKEN"}
