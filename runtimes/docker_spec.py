"""A workload as a Docker engine wants to hear it: the body of `POST /containers/create`.

Pure. The names are those of the Docker Engine API 1.41 (also newer ones and Podman's).
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from config.service import Resources, Secret
from runtimes.labels import labels_of

# The listing of containers does not say to which port a replica was told to listen.
PORT_LABEL = "tidegate.port"

Spec = dict[str, Any]

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_.-]+")
_VOLUME = re.compile(
    r"(?:(?P<source>[A-Za-z]:[\\/][^:]*|[^:]+):)?(?P<target>/[^:]*)(?::(?P<options>[^:]+))?"
)
_HOST_PATH = re.compile(r"[/.~]|[A-Za-z]:[\\/]")
_PORT = re.compile(r"\$(?:PORT\b|\{PORT\})")
_PROPAGATIONS = {"shared", "slave", "private", "rshared", "rslave", "rprivate"}
_WITHOUT_EFFECT = {"rw", "cached", "delegated", "consistent"}
_SELINUX = {"z", "Z"}
# The engine's host, seen from a container: only known there when it is asked for.
_HOST = "host.docker.internal"


def container_name(owner: str, replica: str) -> str:
    """One name per replica: a create whose answer was lost is found again under it."""
    return _NOT_IN_NAMES.sub("-", f"tidegate-{owner}-{replica}")


def networks_of(workload: Workload, first: str | None) -> tuple[str, ...]:
    """The networks to join. The first one is where the gateway reaches the replica."""
    names = (first, *workload.networks) if first else workload.networks
    return tuple(dict.fromkeys(names))


def create_spec(
    owner: str,
    replica: str,
    workload: Workload,
    *,
    network: str | None = None,
    publish_on: str | None = None,
) -> Spec:
    """The container of one replica, on its first network; `publish_on` is an address of the host.

    Raises RuntimeFailure(bad-workload) for what no engine would understand.
    """
    if not workload.image:
        raise RuntimeFailure(
            "bad-workload", f"{workload.service}: the docker runtime needs an image"
        )
    port = f"{workload.port}/tcp"
    spec: Spec = {
        "Image": workload.image,
        "Env": _env(workload, replica),
        "Labels": {
            **labels_of(owner, replica, workload),
            PORT_LABEL: str(workload.port),
        },
        "ExposedPorts": {port: {}},
        "HostConfig": _host_config(workload, network),
    }
    if workload.user:
        spec["User"] = workload.user
    if workload.command:
        spec["Cmd"] = [_PORT.sub(str(workload.port), word) for word in workload.command]
    if publish_on:
        spec["HostConfig"]["PortBindings"] = {port: [{"HostIp": publish_on, "HostPort": ""}]}
    return spec


def _env(workload: Workload, replica: str) -> list[str]:
    # The gateway connects to `port`, so no other PORT may win.
    env = {
        **dict(workload.env),
        "PORT": str(workload.port),
        "TIDEGATE_SERVICE": workload.service,
        "TIDEGATE_REVISION": workload.revision,
        "TIDEGATE_REPLICA": replica,
    }
    return [f"{name}={value}" for name, value in env.items()]


def _host_config(workload: Workload, network: str | None) -> Spec:
    mounts, binds = _volumes(workload)
    config: Spec = {
        "Mounts": [*mounts, *map(_secret, workload.secrets)],
        "Binds": binds,
        "RestartPolicy": {"Name": "no"},  # restarting is the reconciler's
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
        "SecurityOpt": ["no-new-privileges"],
        # No init in front of the program, as in Docker and Compose: images that bring their own
        # (s6) refuse to run as anything but process 1, and not every engine has docker-init.
        "Init": workload.init,
        "ReadonlyRootfs": workload.read_only,
        "CapDrop": list(workload.cap_drop),
        "CapAdd": list(workload.cap_add),
        "Tmpfs": dict(_tmpfs(folder) for folder in workload.tmpfs),
        **_limits(workload.resources),
    }
    if _HOST in dict(workload.env).get("TIDEGATE_URL", ""):
        config["ExtraHosts"] = [f"{_HOST}:host-gateway"]
    joined = networks_of(workload, network)
    if joined:
        config["NetworkMode"] = joined[0]
    return config


def _tmpfs(folder: str) -> tuple[str, str]:
    path, _, options = folder.partition(":")
    return path, options


def _limits(resources: Resources) -> Spec:
    limits: Spec = {}
    if resources.cpu is not None:
        limits["NanoCpus"] = math.ceil(resources.cpu * 1_000_000_000)
    if resources.memory is not None:
        # Equal, so that a replica over its limit is killed instead of swapping for ever.
        limits["Memory"] = limits["MemorySwap"] = resources.memory
    if resources.pids is not None:
        limits["PidsLimit"] = resources.pids
    return limits


def _secret(secret: Secret) -> Spec:
    return {"Type": "bind", "Source": secret.source, "Target": secret.target, "ReadOnly": True}


def _volumes(workload: Workload) -> tuple[list[Spec], list[str]]:
    """As mounts where they can say it, because an engine creates the missing source of a bind."""
    mounts: list[Spec] = []
    binds: list[str] = []
    for volume in workload.volumes:
        match = _VOLUME.fullmatch(volume)
        if match is None:
            raise _bad_volume(workload, volume, 'must be "/host:/in", "name:/in" or "/in"')
        options = set((match["options"] or "rw").split(","))
        if options & _SELINUX:
            binds.append(volume)
        else:
            mounts.append(_mount(workload, volume, match.groupdict(), options))
    return mounts, binds


def _mount(
    workload: Workload, volume: str, place: Mapping[str, str | None], options: set[str]
) -> Spec:
    source = place["source"]
    bound = source is not None and _HOST_PATH.match(source) is not None
    mount: Spec = {
        "Type": "bind" if bound else "volume",
        "Source": source or "",
        "Target": place["target"],
        "ReadOnly": "ro" in options,
    }
    propagation = options & _PROPAGATIONS
    unknown = options - {"ro", "nocopy"} - _WITHOUT_EFFECT - propagation
    if unknown:
        raise _bad_volume(workload, volume, f"unknown option {', '.join(sorted(unknown))}")
    if propagation and bound:
        mount["BindOptions"] = {"Propagation": min(propagation)}
    if "nocopy" in options and not bound:
        mount["VolumeOptions"] = {"NoCopy": True}
    return mount


def _bad_volume(workload: Workload, volume: str, why: str) -> RuntimeFailure:
    return RuntimeFailure("bad-workload", f'{workload.service}: volume "{volume}": {why}')
