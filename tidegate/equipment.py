"""What every replica is given so that it can take leases: where we are, and its token.

Processes reach whatever `admin.listen` says. A container has a loopback of its own: it is given
nothing while `admin.listen` is on ours, because there would be nothing that it could reach.
"""

from collections.abc import Mapping

from cluster.model import Address
from config.addresses import is_loopback
from tidegate.lease_key import LeaseKey

# The engine resolves it inside a container (docker_spec asks for that).
HOST_OF_CONTAINERS = "host.docker.internal"
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Equipment:
    def __init__(self, key: LeaseKey, runtime: str) -> None:
        self._key = key
        self._runtime = runtime
        self._url: str | None = None

    def admin_is_at(self, admin: Address) -> None:
        """Told once it listens: before that no replica is started."""
        self._url = url_for(self._runtime, admin)

    def of(self, service: str) -> Mapping[str, str]:
        """Variables for its environment."""
        if self._url is None:
            return {}
        return {"TIDEGATE_URL": self._url, "TIDEGATE_LEASE_TOKEN": self._key.token(service)}


def url_for(runtime: str, admin: Address) -> str | None:
    """Where a replica reaches the admin API; None: nowhere."""
    if runtime == "process":
        return f"http://{Address(_ANY.get(admin.host, admin.host), admin.port)}"
    if is_loopback(admin.host):
        return None
    host = HOST_OF_CONTAINERS if admin.host in _ANY else admin.host
    return f"http://{Address(host, admin.port)}"
