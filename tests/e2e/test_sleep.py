"""What keeps a service awake and what does not, on local processes: as a user meets it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Running, app, configuration, descendants, tidegate

STOP = 1.5  # seconds
IDLE = {"idle": {"stop_after": f"{STOP}s"}}
LATE = 20.0  # seconds in which a loaded machine must have come to it
# Where it must not fall asleep from one step of a test to the next: the machine may be busy.
PATIENT = 4.0
ROBOT = {"User-Agent": "Mozilla/5.0 (compatible; UptimeRobot/2.0)"}


def quick(**changes: Any) -> dict[str, Any]:
    return app(**{"scaling": IDLE, "drain": "60s", "stop_grace": "1s", **changes})


def stop_after(seconds: float) -> dict[str, Any]:
    return {"idle": {"stop_after": f"{seconds}s"}}


async def sleeps(running: Running, service: str = "web") -> bool:
    view = await running.service(service)
    return (view["desired"], view["replicas"]) == (0, [])


class Raw:
    """A connection of a client that says when it is closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str, *lines: str, service: str = "web") -> bytes:
        """The head of the answer."""
        fields = [f"GET {path} HTTP/1.1", f"Host: {service}.localhost", *lines, "", ""]
        self.writer.write("\r\n".join(fields).encode())
        async with asyncio.timeout(LATE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def tunnel(self) -> None:
        head = await self.ask("/tunnel", "Connection: Upgrade", "Upgrade: echo")
        assert head.startswith(b"HTTP/1.1 101 ")

    async def echo(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(LATE):
            assert await self.reader.readexactly(len(data)) == data

    async def event(self) -> tuple[str, bytes]:
        async with asyncio.timeout(LATE):
            block = await self.reader.readuntil(b"\n\n")
        kind, data = block.strip().split(b"\n")
        return kind.removeprefix(b"event: ").decode(), data.removeprefix(b"data: ")

    async def rest(self) -> bytes:
        async with asyncio.timeout(LATE):
            return await self.reader.read()


async def raw(running: Running) -> Raw:
    host, _, port = running.gateway.rpartition(":")
    return Raw(*await asyncio.open_connection(host, int(port)))


def with_workers(file_of: dict[str, Any], workers: int) -> dict[str, Any]:
    return {**file_of, "gateway": {"listen": ["127.0.0.1:0"], "workers": workers}}


# Silence


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_silent_tunnel_falls_asleep_and_one_with_bytes_does_not(
    tmp_path: Path, workers: int
) -> None:
    service = quick(scaling=stop_after(PATIENT))
    file = configuration(tmp_path, {"web": service}, **with_workers({}, workers))
    async with tidegate(file) as running:
        client = await raw(running)
        await client.tunnel()
        started = await running.replicas("web")
        loop = asyncio.get_running_loop()
        silent_from = loop.time()
        end = silent_from + 2 * PATIENT
        while silent_from < end:
            silent_from = loop.time()
            await client.echo(b"a byte")
            await asyncio.sleep(0.3)
        assert await running.replicas("web") == started
        assert await client.rest() == b""
        assert loop.time() - silent_from >= PATIENT - 0.3
        await running.until(lambda: sleeps(running), within=LATE)
        # Nobody waited for `drain`: it was told to close.
        assert loop.time() - silent_from < 40
        assert (await running.get("web")).status == 200
        client.writer.close()


async def test_a_silent_stream_is_cut_and_a_slow_download_comes_whole(tmp_path: Path) -> None:
    """sablierapp/sablier#576. The download takes several times `stop_after`."""
    service = quick(scaling=stop_after(PATIENT))
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        silent = await raw(running)
        assert (await silent.ask("/stream?chunks=2&ms=600000")).startswith(b"HTTP/1.1 200 ")
        download = await running.get("web", "/stream?chunks=24&ms=500&size=3")
        assert download.body == b"x" * 72
        rest = await silent.rest()
        assert b"0\r\n\r\n" not in rest
        await running.until(lambda: sleeps(running), within=LATE)
        silent.writer.close()


async def test_a_request_that_waits_for_its_first_byte_is_never_idle(tmp_path: Path) -> None:
    async with tidegate(configuration(tmp_path, {"web": quick()})) as running:
        answer = await running.get("web", f"/sleep?ms={int(STOP * 4000)}")
        assert (answer.status, answer.body) == (200, b"slept")


async def test_a_silent_tunnel_is_frozen_after_freeze_after(tmp_path: Path) -> None:
    ladder = {"idle": {"freeze_after": f"{PATIENT}s", "stop_after": None}}
    async with tidegate(configuration(tmp_path, {"web": quick(scaling=ladder)})) as running:
        client = await raw(running)
        await client.tunnel()
        await client.echo(b"a byte")

        async def frozen() -> bool:
            return bool(await running.replicas("web", "frozen"))

        await running.until(frozen, within=LATE)
        assert await client.rest() == b""
        await asyncio.sleep(2.5)  # what ended it is no activity: it must stay frozen
        assert await frozen()
        assert not running.said("thawed")
        assert (await running.get("web")).status == 200
        client.writer.close()


# Who neither wakes nor keeps awake


@pytest.mark.parametrize("workers", [0, 2])
async def test_ignored_requests_neither_wake_nor_keep_awake(tmp_path: Path, workers: int) -> None:
    answer = {"status": 200, "headers": {"X-State": "dormant"}, "body": "asleep"}
    ignore = {"user_agents": ["uptimerobot"], "paths": ["/healthz"], "answer": answer}
    service = quick(scaling={"idle": {"stop_after": f"{PATIENT}s", "ignore": ignore}})
    file = configuration(tmp_path, {"web": service}, **with_workers({}, workers))
    async with tidegate(file) as running:
        for asked in ({"headers": ROBOT}, {"path": "/healthz/live"}):
            dormant = await running.get("web", **asked)
            assert (dormant.body, dormant.headers["X-State"]) == (b"asleep", "dormant")
        assert await sleeps(running)
        assert not running.said("scaled")
        host_name = (await running.get("web")).body
        looks: list[bytes] = []

        async def fell_asleep_under_looks() -> bool:
            looks.append((await running.get("web", headers=ROBOT)).body)
            return await sleeps(running)

        await running.until(fell_asleep_under_looks, within=LATE)
        assert looks[0] == host_name  # awake, a replica answered
        await running.until(lambda: dormant_again(running), within=LATE)
        counted = (await running.api("/metrics")).body.decode()
        (line,) = (
            line for line in counted.splitlines()
            if line.startswith('tidegate_requests_total{code="200",service="web"}')
        )  # fmt: skip
        assert float(line.split()[-1]) >= len(looks) + 3


async def dormant_again(running: Running) -> bool:
    return (await running.get("web", headers=ROBOT)).body == b"asleep"


async def test_probes_and_scrapes_keep_nobody_awake(tmp_path: Path) -> None:
    """knative/serving#3012, #5986: of our own they never count."""
    probes = {
        "readiness": {"http": "/ready", "every": "100ms"},
        "liveness": {"http": "/live", "every": "100ms"},
    }
    async with tidegate(configuration(tmp_path, {"web": quick(health=probes)})) as running:

        async def fell_asleep_under_scrapes() -> bool:
            assert (await running.api("/metrics")).status == 200
            return await sleeps(running)

        for _ in range(5):
            await fell_asleep_under_scrapes()
        assert not descendants(running.process.pid)
        await running.get("web")
        await running.until(fell_asleep_under_scrapes, within=LATE)


async def test_what_is_no_request_wakes_nobody(tmp_path: Path) -> None:
    service = quick(hosts=["*"])
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        for data in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"\xfe\x01", b""):
            client = await raw(running)
            client.writer.write(data)
            client.writer.write_eof()
            await client.rest()
            client.writer.close()
        assert await sleeps(running)
        assert not running.said("scaled")


# The page and the other service

BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
EVENTS = "/.well-known/tidegate/wake"


@pytest.mark.parametrize("workers", [0, 2])
async def test_people_see_how_the_wake_goes(tmp_path: Path, workers: int) -> None:
    """The first start is measured; the page of the second one knows how long it takes."""
    service = quick(wake={"page": "auto"}, env={"START_DELAY": "4"}, scaling=stop_after(PATIENT))
    file = configuration(tmp_path, {"web": service}, **with_workers({}, workers))
    async with tidegate(file) as running:
        assert (await running.get("web")).status == 200
        await running.until(lambda: sleeps(running), within=LATE)
        client = await raw(running)
        head = (await client.ask("/", BROWSER)).decode()
        assert head.startswith("HTTP/1.1 503 ")
        assert "\r\nRetry-After: " in head
        watching = await raw(running)
        assert b"text/event-stream" in await watching.ask(EVENTS, "Accept: text/event-stream")
        kind, data = await watching.event()
        assert kind == "progress"
        assert 4000 <= int(data.split(b'"expected": ')[1].rstrip(b"}")) < 20_000
        while (told := await watching.event())[0] == "progress":
            pass
        assert told[0] == "ready"
        assert await watching.rest() == b""
        reloaded = await raw(running)
        ready = (await reloaded.ask("/", BROWSER)).decode()
        assert ready.startswith("HTTP/1.1 200 ")
        assert "Server-Timing" not in ready  # it did not have to wait
        for one in (client, watching, reloaded):
            one.writer.close()


async def test_people_see_that_a_start_fails(tmp_path: Path) -> None:
    service = {"command": [sys.executable, "-c", "raise SystemExit(3)"], "wake": {"page": "auto"}}
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        watching = await raw(running)
        await watching.ask(EVENTS)
        while (told := await watching.event())[0] == "progress":
            pass
        assert told[0] == "trouble"
        page = await running.get("web", headers={"Accept": "text/html"})
        assert (page.status, b'data-state="trouble"' in page.body) == (503, True)
        watching.writer.close()


@pytest.mark.parametrize("workers", [0, 2])
async def test_another_service_answers_meanwhile(tmp_path: Path, workers: int) -> None:
    services = {
        "web": quick(wake={"fallback": "spare"}, env={"START_DELAY": "2", "WHO": "web"}),
        "spare": app(scaling={"min": 1}, env={"WHO": "spare"}),
    }
    file = configuration(tmp_path, services, **with_workers({}, workers))
    async with tidegate(file) as running:

        async def spare_is_there() -> bool:
            return bool(await running.replicas("spare", "ready"))

        await running.until(spare_is_there)
        first = await running.get("web", "/env?name=WHO")
        assert (first.body, first.headers["Tidegate-Fallback"]) == (b"spare", "spare")

        async def is_itself() -> bool:
            answer = await running.get("web", "/env?name=WHO")
            assert answer.status == 200
            assert (answer.body == b"spare") == ("Tidegate-Fallback" in answer.headers)
            return answer.body == b"web"

        await running.until(is_itself, within=LATE)
        await running.until(lambda: sleeps(running), within=LATE)
