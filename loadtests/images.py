"""The test application's image for programs: what the fixture `docker_app` is for tests."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support import docker_engine, replica_app
from tests.support.docker_engine import INSIDE, SYSTEM, App


@contextlib.contextmanager
def app_image() -> Iterator[App]:
    """Built from nothing, with the host's Python mounted; removed at the end."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    command = f'CMD ["{python}", "-I", "-S", "{INSIDE}"]'
    outside = [path for path in (*SYSTEM, sys.base_prefix) if Path(path).exists()]
    shown = sorted({path for path in outside if not path.startswith("/usr/")})
    with docker_engine._image("python", {"tmp/empty": b""}, command) as image:
        mounts = [f"{path}:{path}:ro" for path in shown]
        yield App(image, (*mounts, f"{replica_app.__file__}:{INSIDE}:ro"))
