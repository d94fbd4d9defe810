"""The engine's verbs, each with a deadline; foreign errors and endless waits stop here.

aiodocker speaks to the engine. What it would wrap (a listing), merge (the two streams of a log)
or do in a task of its own (events) is read raw from its session.
"""

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiodocker
import aiohttp
import orjson
from aiodocker.containers import DockerContainer
from aiodocker.execs import Exec

from runtimes.docker_errors import (
    IS_BEING_REMOVED,
    IS_NOT_PAUSED,
    IS_PAUSED,
    NO_CONNECTION,
    failure_of,
    garbled,
    message_of,
    silent,
    unreachable,
)
from runtimes.docker_spec import Spec


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the engine may take to answer, in seconds; a stop has its grace on top."""

    call: float = 10.0
    create: float = 30.0
    start: float = 60.0
    remove: float = 30.0


class NameTaken(Exception):
    """Another container has that name."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered. `address` is for people; `host` is where its ports are published.

    Every method may raise RuntimeFailure.
    """

    docker: aiodocker.Docker
    connector: aiohttp.BaseConnector
    address: str
    host: str
    deadlines: Deadlines

    def speaks_as(self, other: "Engine") -> bool:
        """Whether a connection to the other is as good as this one: same place, same API."""
        return (self.address, self.host, self.docker.api_version) == (
            other.address,
            other.host,
            other.docker.api_version,
        )

    async def close(self) -> None:
        await self.docker.close()
        await self.connector.close()

    async def listing(self, owner_label: str) -> list[dict[str, Any]]:
        """All containers with that label, whatever their state."""
        filters = orjson.dumps({"label": [owner_label]}).decode()
        async with (
            self.call("list", self.deadlines.call),
            self._get("containers/json", {"all": "1", "filters": filters}) as response,
        ):
            return list(orjson.loads(await response.read()))

    async def create(self, name: str, spec: Spec) -> str:
        """The id of the new container. Raises NameTaken."""
        async with self.call("create", self.deadlines.create, spec["Image"]):
            try:
                return (await self.docker.containers.create(spec, name=name)).id
            except aiodocker.DockerError as error:
                if error.status == 409:
                    raise NameTaken from error
                raise

    async def join(self, id: str, network: str) -> None:
        """Connect a container to one more network."""
        url = self._url(f"networks/{quote(network, safe='')}/connect")
        async with (
            self.call("start", self.deadlines.call),
            self.docker.session.post(url, json={"Container": id}) as response,
        ):
            await _checked(response)

    async def start(self, id: str) -> None:
        async with self.call("start", self.deadlines.start):
            await self._container(id).start()

    async def inspect(self, id: str) -> dict[str, Any]:
        async with self.call("inspect", self.deadlines.call):
            return await self._container(id).show()

    async def stats(self, id: str) -> dict[str, Any]:
        """What it uses now: one sample. Before API 1.41 the engine takes a second for two."""
        params = {"stream": "0", "one-shot": "1"}
        async with (
            self.call("stats", self.deadlines.call),
            self._get(f"containers/{id}/stats", params) as response,
        ):
            return dict(orjson.loads(await response.read()))

    async def pause(self, id: str) -> None:
        async with self.call("pause", self.deadlines.call, done=IS_PAUSED):
            await self._container(id).pause()

    async def unpause(self, id: str) -> None:
        async with self.call("unpause", self.deadlines.call, done=IS_NOT_PAUSED):
            await self._container(id).unpause()

    async def stop(self, id: str, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace`; the engine takes whole seconds."""
        async with self.call("stop", grace + self.deadlines.remove):
            await self._container(id).stop(t=math.ceil(grace))

    async def remove(self, id: str) -> None:
        """Kill it if it runs, and take its anonymous volumes away too."""
        async with self.call("remove", self.deadlines.remove, done=IS_BEING_REMOVED):
            await self._container(id).delete(force=True, v=True)

    async def prepare(self, id: str, command: Sequence[str]) -> Exec:
        """A command that is about to run in the container."""
        async with self.call("exec", self.deadlines.call):
            return await self._container(id).exec(list(command))

    async def finish(self, run: Exec) -> int:
        """Run it; the exit code. There is no deadline."""
        async with self.call("exec", None):
            return await _exit_code(run)

    async def progress(self, run: Exec) -> dict[str, Any]:
        """`Running`, `Pid` (on the engine's machine), `ExitCode`."""
        async with self.call("exec", self.deadlines.call):
            return dict(await run.inspect())

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """An endless answer to a GET; only its beginning has a deadline."""
        async with contextlib.AsyncExitStack() as stack:
            async with self.call(path, self.deadlines.call):
                response = await stack.enter_async_context(self._get(path, params))
            async with self.call(path, None):
                yield response.content

    @contextlib.asynccontextmanager
    async def call(
        self,
        call: str,
        timeout: float | None,
        image: str | None = None,
        done: re.Pattern[str] | None = None,
    ) -> AsyncIterator[None]:
        """Whatever goes wrong inside becomes a RuntimeFailure, also taking longer than allowed.

        An error whose words match `done` says that there was nothing left to do.
        """
        try:
            async with asyncio.timeout(timeout):
                yield
        except aiodocker.DockerError as error:
            if error.status == NO_CONNECTION:
                raise unreachable(self.address, error) from error
            if not (done and done.search(error.message)):
                words = message_of(error.message)
                raise failure_of(call, error.status, words, image) from error
        except TimeoutError as error:
            raise silent(self.address, call, timeout or 0.0) from error
        # aiohttp says RuntimeError when its session was closed under a call.
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise unreachable(self.address, error) from error
        except (ValueError, TypeError, LookupError, AssertionError) as error:
            raise garbled(self.address, call, error) from error

    @contextlib.asynccontextmanager
    async def _get(
        self, path: str, params: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self.docker.session.get(self._url(path), params=params) as response:
            yield await _checked(response)

    def _url(self, path: str) -> str:
        return f"{self.docker.docker_host}/{self.docker.api_version}/{path}"

    def _container(self, id: str) -> DockerContainer:
        return self.docker.containers.container(id)


async def _checked(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    if response.status >= 400:
        raise aiodocker.DockerError(response.status, await response.text(errors="replace"))
    return response


async def _exit_code(run: Exec) -> int:
    async with run.start() as output:
        while await output.read_out() is not None:
            pass
    # The engine tells the end of the output before it knows of the end of the program.
    while (facts := await run.inspect())["Running"]:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.01)
    return int(facts["ExitCode"])
