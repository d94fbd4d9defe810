"""What shows too much of the host is said, once, with its line; what is common is not."""

import os
from pathlib import Path

import pytest

from config.loader import parse
from tests.support.certificates import issue

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
        ("volumes: [/var/run:/r]", "volumes[0]: /var/run shows a replica"),
        ("volumes: [//var:/v]", "volumes[0]: /var shows a replica"),
        ("volumes: [/var/lib:/v:ro]", "volumes[0]: /var/lib shows a replica"),
        ("volumes: [/run/podman/:/p]", "volumes[0]: /run/podman shows a replica"),
        ("volumes: [/run/user/1000:/u]", "volumes[0]: /run/user/1000 shows a replica"),
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
        "volumes: [/var/lib/mine:/data, /var/log/mine:/log, /run/mine:/run/mine, /runs:/runs]",
        "cap_add: [NET_BIND_SERVICE, CHOWN]",
        "cap_drop: [ALL]",
        "networks: [hosts]",
        "read_only: true",
    ],
)
def test_what_is_common_is_not(line: str) -> None:
    assert warnings_of(DOCKER + line) == []


def test_the_network_of_the_host_for_all_replicas_is_said() -> None:
    services = "services: {web: {image: 'web:1'}}"
    (warning,) = warnings_of(f"runtime: {{docker: {{network: host}}}}\n{services}")
    assert warning.startswith("t.yaml:1: warning: runtime.docker.network: host lets replicas reach")
    assert warnings_of(f"runtime: {{docker: {{network: hosts}}}}\n{services}") == []


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


def test_a_key_that_others_may_read_is_said(tmp_path: Path) -> None:
    issued = issue(tmp_path, "web", "web.example")
    listener = f'{{listen: ":8443", certificates: [{{cert: {issued.cert}, key: {issued.key}}}]}}'
    text = f"gateway: {{tls: [{listener}]}}\nservices: {{web: {{command: app}}}}"
    for mode, count in ((0o644, 1), (0o600, 0)):
        issued.key.chmod(mode)
        said = warnings_of(text, tmp_path / "t.yaml")
        assert len(said) == count
        assert all("gateway.tls[0].certificates[0].key" in line for line in said)
