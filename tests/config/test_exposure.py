"""What shows too much of the host is said, once, with its line; what is common is not."""

import os
from pathlib import Path

import pytest

from config.loader import parse

DOCKER = "runtime: docker\nservices:\n  web:\n    image: web:1\n    "


def warnings_of(text: str, file: Path = Path("t.yaml")) -> list[str]:
    return list(parse(text, file).warnings)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("volumes: [/var/run/docker.sock:/s]", "volumes[0]: /var/run/docker.sock lets a replica"),
        ("volumes: [/a/../run/docker.sock:/s:ro]", "volumes[0]: /run/docker.sock lets a replica"),
        ("volumes: ['/:/host:ro']", "volumes[0]: / shows a replica what is the host's own"),
        ("volumes: [/ok:/ok, /proc:/proc]", "volumes[1]: /proc shows a replica"),
        ("volumes: [/sys/:/sys]", "volumes[0]: /sys shows a replica"),
        ("cap_add: [CHOWN, CAP_SYS_ADMIN]", "cap_add[1]: SYS_ADMIN makes a replica as good as"),
        ("cap_add: all", "cap_add[0]: ALL makes a replica as good as"),
        ("networks: [host]", "networks[0]: host lets replicas reach all that listens"),
    ],
)
def test_what_gives_away_the_host_is_said(line: str, said: str) -> None:
    (warning,) = warnings_of(DOCKER + line)
    assert warning.startswith(f"t.yaml:5: warning: services.web.{said}")


@pytest.mark.parametrize(
    "line",
    [
        "volumes: [/srv/data:/data, data:/in, /proc/sys/x:/x]",
        "cap_add: [NET_BIND_SERVICE, CHOWN]",
        "cap_drop: [ALL]",
        "networks: [hosts]",
        "read_only: true",
    ],
)
def test_what_is_common_is_not(line: str) -> None:
    assert warnings_of(DOCKER + line) == []


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9900", "localhost:9900"])
def test_an_endpoint_that_is_the_admin_api_is_said(endpoint: str) -> None:
    (warning,) = warnings_of(f'services: {{web: {{endpoints: ["{endpoint}"]}}}}')
    assert "services.web.endpoints[0]: is the admin API" in warning
    assert warnings_of('services: {web: {endpoints: ["127.0.0.1:9901"]}}') == []


@pytest.mark.parametrize(
    ("mode", "is_said"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)]
)
def test_a_token_that_others_may_read_is_said(tmp_path: Path, mode: int, is_said: bool) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    os.chmod(token, mode)
    text = "admin: {token_file: token}\nservices: {web: {command: app}}"
    said = warnings_of(text, tmp_path / "t.yaml")
    assert [f"chmod 600 {token}" in line for line in said] == ([True] if is_said else [])
