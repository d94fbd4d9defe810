"""A real Docker engine for tests, and images made from nothing: there is no registry.

Two images. The busybox one holds a static busybox and its applets. The Python one is almost empty:
the host's Python, its libraries and `replica_app.py` are mounted into it read-only.

A test module takes the fixtures by importing them. Where no engine answers, the test is skipped
with the reason; with TIDEGATE_REQUIRE_DOCKER=1 it fails. Images are built once a session under
tags of its own, and leave with it; a container left behind by a test is an error.
"""

import asyncio
import contextlib
import functools
import hashlib
import io
import os
import sys
import tarfile
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiodocker
import pytest

from cluster.workload import Workload
from tests.support import bridges, replica_app

T = TypeVar("T")
BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "httpd", "sleep", "cat", "echo", "kill", "test", "true", "touch", "id", "wc")
SYSTEM = ("/usr", "/lib", "/lib64", "/bin")
PORT = 8080
_BRIDGE = "com.docker.network.bridge.name"
INSIDE = "/opt/tidegate-test/replica_app.py"


@dataclass(frozen=True, slots=True)
class App:
    """The test application (see replica_app.py): its image, and what it needs mounted."""

    image: str
    volumes: tuple[str, ...]

    def workload(
        self,
        service: str,
        revision: str = "r1",
        env: Mapping[str, str] | None = None,
        volumes: tuple[str, ...] = (),
        **facts: Any,
    ) -> Workload:
        return Workload(
            service,
            revision,
            image=self.image,
            volumes=(*self.volumes, *volumes),
            env=tuple((env or {}).items()),
            **facts,
        )


@pytest.fixture(scope="session")
def docker_engine() -> str:
    """The engine's version. Its bridges are steady (see bridges.py)."""
    version, trouble = _asked_once()
    if trouble:
        refuse = pytest.fail if os.environ.get("TIDEGATE_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse(trouble)
    return version


@pytest.fixture(scope="session")
def busybox_image(docker_engine: str) -> Iterator[str]:
    """A shell, and busybox's httpd on PORT. As process 1 it ignores SIGTERM."""
    if not BUSYBOX.exists():
        pytest.fail(f"{BUSYBOX} is missing: install the package busybox-static")
    files: dict[str, bytes | str] = {"bin/busybox": BUSYBOX.read_bytes(), "www/index.html": b"hi"}
    files |= {f"bin/{name}": "busybox" for name in APPLETS}
    command = f'["httpd", "-f", "-p", "{PORT}", "-h", "/www"]'
    with _image("busybox", files, f"ENV PATH=/bin\nCMD {command}") as image:
        yield image


@pytest.fixture(scope="session")
def checked_image(docker_engine: str) -> Iterator[str]:
    """busybox's httpd on PORT, with a HEALTHCHECK of its own: five times a second, two failures
    count. It passes while /shared/ok is there (mount something) and /sick is not, and says nothing
    while /shared/wait is there."""
    files: dict[str, bytes | str] = {"bin/busybox": BUSYBOX.read_bytes(), "www/index.html": b"hi"}
    files |= {f"bin/{name}": "busybox" for name in APPLETS}
    dockerfile = (
        "ENV PATH=/bin\n"
        "HEALTHCHECK --interval=200ms --timeout=20s --retries=2 "
        "CMD while test -e /shared/wait; do sleep 0.1; done; test -e /shared/ok -a ! -e /sick\n"
        f'CMD ["httpd", "-f", "-p", "{PORT}", "-h", "/www"]'
    )
    with _image("checked", files, dockerfile) as image:
        yield image


@pytest.fixture(scope="session")
def docker_app(docker_engine: str) -> Iterator[App]:
    """The test application on the host's Python."""
    with app_image() as app:
        yield app


@contextlib.contextmanager
def app_image() -> Iterator[App]:
    """The test application for the length of a block: what `docker_app` is, for programs too.
    Raises RuntimeError with what is wrong with the engine."""
    if trouble := _asked_once()[1]:
        raise RuntimeError(trouble)
    with _image("python", *_app_recipe()) as image:
        yield App(image, _app_volumes())


async def build_app(url: str) -> App:
    """The test application on the engine at `url`; the image stays there."""
    tag = "tidegate-test/python:own"
    files, dockerfile = _app_recipe()
    await _build(tag, _image_context(files, dockerfile), url)
    return App(tag, _app_volumes())


@contextlib.asynccontextmanager
async def engine(url: str | None = None) -> AsyncIterator[aiodocker.Docker]:
    """The engine itself, to look at what a driver did."""
    async with aiodocker.Docker(url) as docker:
        yield docker


async def containers_of(owner: str, url: str | None = None) -> list[str]:
    """The names of all containers with this owner's mark, whatever their state."""
    async with engine(url) as docker:
        found = await docker.containers.list(
            all=True, filters={"label": [f"tidegate.owner={owner}"]}
        )
        return [container["Names"][0] for container in found]


@contextlib.asynccontextmanager
async def network(name: str) -> AsyncIterator[str]:
    """A bridge network for the length of a block."""
    async with engine() as docker:
        made = await docker.networks.create({"Name": name, "CheckDuplicate": True})
        try:
            yield name
        finally:
            await made.delete()


@contextlib.asynccontextmanager
async def volume(name: str) -> AsyncIterator[str]:
    """A named volume for the length of a block."""
    async with engine() as docker:
        made = await docker.volumes.create({"Name": name})  # type: ignore[no-untyped-call]
        try:
            yield name
        finally:
            await made.delete()


async def volumes() -> set[str]:
    """The names of all volumes of the engine."""
    async with engine() as docker:
        found = await docker.volumes.list()  # type: ignore[no-untyped-call]
        return {one["Name"] for one in found["Volumes"] or ()}


@functools.cache
def _asked_once() -> tuple[str, str]:
    """The engine's version, or what is wrong. From now on its bridges keep their addresses."""

    async def ask() -> tuple[str, list[str]]:
        async with asyncio.timeout(30), engine() as docker:
            version = str((await docker.version())["Version"])
            networks = await docker.networks.list()
        options = [network.get("Options") or {} for network in networks]
        return version, [one[_BRIDGE] for one in options if _BRIDGE in one]

    try:
        version, names = _apart(ask())
    except Exception as error:  # whatever it is, it is the reason
        return "", f"no Docker engine answers: {str(error) or type(error).__name__}"
    return version, "; ".join(filter(None, map(bridges.settle, names)))


@contextlib.contextmanager
def _image(name: str, files: Mapping[str, bytes | str], dockerfile: str) -> Iterator[str]:
    """Build it, and take it away afterwards. A file's text is where it links to."""
    context = _image_context(files, dockerfile)
    digest = hashlib.sha256(context).hexdigest()[:12]
    tag = f"tidegate-test/{name}:{digest}-{uuid.uuid4().hex[:8]}"  # sessions run side by side
    _apart(_build(tag, context))
    try:
        yield tag
    finally:
        left = _apart(_remove(tag))
    assert not left, f"tests left containers behind: {left}"


def _app_recipe() -> tuple[dict[str, bytes | str], str]:
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    return {"tmp/empty": b""}, f'CMD ["{python}", "-I", "-S", "{INSIDE}"]'


def _app_volumes() -> tuple[str, ...]:
    volumes = [path for path in (*SYSTEM, sys.base_prefix) if Path(path).exists()]
    outside = sorted({path for path in volumes if not path.startswith("/usr/")})
    mounts = [f"{path}:{path}:ro" for path in outside]
    return (*mounts, f"{replica_app.__file__}:{INSIDE}:ro")


def _image_context(files: Mapping[str, bytes | str], dockerfile: str) -> bytes:
    return _context(files, f"FROM scratch\nCOPY root/ /\n{dockerfile}\n")


def _context(files: Mapping[str, bytes | str], dockerfile: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in {"Dockerfile": dockerfile.encode(), **_rooted(files)}.items():
            entry = tarfile.TarInfo(path)
            entry.mode = 0o755
            if isinstance(content, bytes):
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            else:
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
    return buffer.getvalue()


def _rooted(files: Mapping[str, bytes | str]) -> dict[str, bytes | str]:
    return {f"root/{path}": content for path, content in files.items()}


async def _build(tag: str, context: bytes, url: str | None = None) -> None:
    async with engine(url) as docker:
        await docker.images.build(
            fileobj=io.BytesIO(context), encoding="identity", tag=tag, forcerm=True
        )


async def _remove(tag: str) -> list[str]:
    """Take the image away; what still used it is taken away too, and named."""
    async with engine() as docker:
        users = await docker.containers.list(all=True, filters={"ancestor": [tag]})
        users = [user for user in users if user["Image"] == tag]
        for user in users:
            await user.delete(force=True, v=True)
        await docker.images.delete(tag, force=True)
        return [user["Names"][0] for user in users]


def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own in a thread of its own: a test's loop may be running here."""
    with ThreadPoolExecutor(1, thread_name_prefix="docker-engine") as pool:
        return pool.submit(asyncio.run, work).result()
