"""What of a service gives its replicas more of the host than they should have.

Pure. Warnings, not errors: the file is the operator's word. They are told at every start and
reload, and by `tidegate check`.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from config.addresses import is_path, overlap
from config.confinement import ALL
from config.errors import Finding
from config.service import Service
from config.settings import Docker

_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock", "crio.sock")
# Whoever may write there, or read all of it, is root on the host before long, as in all folders
# above. Sockets of engines are in /run, which is also called /var/run.
_ROOTS = (
    "/proc", "/sys", "/dev", "/etc", "/boot", "/root", "/run", "/var/run",
    "/run/containerd", "/run/podman", "/run/crio",
    "/var/run/containerd", "/var/run/podman", "/var/run/crio",
    "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers",
)  # fmt: skip
_OPEN = frozenset(
    path for root in _ROOTS for path in (root, *map(str, PurePosixPath(root).parents))
)
# What a user's own engine listens on.
_OF_A_USER = re.compile(r"(/var)?/run/user(/\d+(/podman)?)?")
# Each of these alone is as good as root on the host (capabilities(7)).
_MIGHTY = frozenset(
    {ALL, "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "SYS_BOOT", "SYS_TIME",
     "DAC_READ_SEARCH", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "BPF", "PERFMON",
     "LINUX_IMMUTABLE", "MKNOD"}
)  # fmt: skip
_NETWORK_OF_THE_HOST = (
    "host lets replicas reach all that listens on this machine's loopback, the admin API too: set "
    "admin.token_file, or use a network of their own"
)


def of_runtime(docker: Docker) -> Iterator[Finding]:
    """Seen from the top of the file."""
    if docker.network == "host":
        yield Finding(("runtime", "docker", "network"), _NETWORK_OF_THE_HOST)


def of_service(service: Service, admin: str) -> Iterator[Finding]:
    """Seen from the top of the service; `admin` is where the API listens."""
    yield from _of_volumes(service)
    for index, name in enumerate(service.cap_add):
        if name in _MIGHTY:
            message = f"{name} makes a replica as good as root on this host: remove it if you can"
            yield Finding(("cap_add", index), message)
    for index, name in enumerate(service.networks):
        if name == "host":
            yield Finding(("networks", index), _NETWORK_OF_THE_HOST)
    for index, address in enumerate(service.endpoints):
        if overlap(address, admin):
            message = "is the admin API: clients of the gateway could reach it; remove it"
            yield Finding(("endpoints", index), message)


def _of_volumes(service: Service) -> Iterator[Finding]:
    for index, volume in enumerate(service.volumes):
        source = volume.partition(":")[0]
        if not is_path(source):
            continue
        path = posixpath.normpath("/" + source.lstrip("/"))
        if path.endswith(_SOCKETS):
            message = f"{path} lets a replica start anything as root on this host"
        elif path in _OPEN or _OF_A_USER.fullmatch(path):
            message = f"{path} shows a replica what is the host's own: mount only what it needs"
        else:
            continue
        yield Finding(("volumes", index), message)
