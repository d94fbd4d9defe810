"""Rolling restarts, new revisions and roll-backs under load, on real processes.

Sources: Knative's TestUpdate (re-routes under a prober), moby/moby#30321 (requests lost in rolling
updates), knative/serving#15211 (502 of replicas that end).
"""

import asyncio
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.websocket import ASK, CLOSE, TEXT, Frame, accept, read_frame
from tests.support.callers import Book, calling
from tests.support.rollout_load import (
    ABRUPT,
    colour,
    edit,
    ids,
    is_in_phase,
    load,
    restart,
    settle,
)
from tests.support.running import Answer, Running, app, configuration, descendants, tidegate

FAST = {"healthy_for": "100ms"}


def web(least: int = 3, **changes: Any) -> dict[str, Any]:
    facts = {"scaling": {"min": least}, "env": {"COLOUR": "blue", **ABRUPT}, "rollout": FAST}
    return app(**{**facts, **changes})


def command(running: Running, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as an operator uses it."""
    return subprocess.run(
        [sys.executable, "-m", "tidegate", *words, "--admin", f"http://{running.admin}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
async def test_no_request_of_any_method_fails_in_a_rolling_restart(
    tmp_path: Path, workers: int
) -> None:
    gateway = {"listen": ["127.0.0.1:0"], "workers": workers}
    file = configuration(tmp_path, {"web": web()}, gateway=gateway)
    async with tidegate(file) as running:
        await settle(running, 3)
        await restart(running, 3)
        await restart(running, 3)


async def test_ten_new_revisions_under_load_lose_nothing(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": web(least=2)})
    async with tidegate(file) as running:
        await settle(running, 2)
        async with load(running) as book:
            for number in range(10):
                former = (await running.service("web"))["revision"]
                colour(running, f"colour-{number}")

                async def replaced(former: str = former) -> bool:
                    present = await running.replicas("web", "ready")
                    return all(replica["revision"] != former for replica in present)

                await running.until(replaced)
                await settle(running, 2)
                # In force when it is said to be: an answer of the old one would be too late.
                for _ in range(5):
                    answer = await running.get("web", "/env?name=COLOUR")
                    assert answer.body == f"colour-{number}".encode()
        assert book.served["web"] > 100
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_rollouts_total{outcome="completed",service="web"} 10.0' in metrics


async def test_a_bad_revision_is_rolled_back_and_the_old_one_serves_all_the_while(
    tmp_path: Path,
) -> None:
    file = configuration(tmp_path, {"web": web(least=2)})
    async with tidegate(file) as running:
        await settle(running, 2)
        before = await ids(running)
        await running.until(lambda: is_remembered(tmp_path))
        async with load(running):
            edit(file, lambda all_: all_["web"].update(command=["false"]))
            assert (await running.api("/v1/reload", "POST")).status == 200
            await running.until(lambda: is_in_phase(running, "rolled-back"))
            assert await ids(running) == before
        view = await running.service("web")
        assert view["trouble"]["code"] == "rollout-failed"
        assert view["rollout"]["filed"] != view["revision"]
        assert len(running.said("rolled-back")) == 1
        shown = await asyncio.to_thread(command, running, "status", "web")
        assert "rolled-back" in shown.stdout
        assert "3 of its replicas failed" in shown.stdout
        edit(file, lambda all_: all_["web"].update(web(least=2, env={"COLOUR": "green", **ABRUPT})))
        assert (await running.api("/v1/reload", "POST")).status == 200
        await running.until(lambda: is_green(running))
        view = await running.service("web")
        assert (view["rollout"], view["trouble"]) == (None, None)


async def is_remembered(folder: Path) -> bool:
    return (folder / "state" / "revisions" / "web.json").exists()


async def is_green(running: Running) -> bool:
    await settle(running, 2)
    return (await running.get("web", "/env?name=COLOUR")).body == b"green"


async def test_restart_and_rollback_from_the_command_line(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": web(least=1), "away": {"endpoints": ["127.0.0.1:1"]}})
    async with tidegate(file) as running:
        await settle(running, 1)
        none = await asyncio.to_thread(command, running, "rollback", "web")
        assert (none.returncode, none.stdout) == (1, "")
        assert "no other revision of web is known to have been healthy" in none.stderr
        away = await asyncio.to_thread(command, running, "restart", "away")
        assert away.returncode == 1
        assert "not ours" in away.stderr

        before = await ids(running)
        told = await asyncio.to_thread(command, running, "restart", "web")
        assert told.returncode == 0, told.stderr
        assert "web: 1 replica will be replaced" in told.stdout

        async def replaced() -> bool:
            return not before & await ids(running)

        await running.until(replaced)
        await settle(running, 1)
        colour(running, "green")
        await running.until(lambda: answers(running, b"green"))
        await settle(running, 1)
        told = await asyncio.to_thread(command, running, "rollback", "web")
        assert told.returncode == 0, told.stderr
        await running.until(lambda: answers(running, b"blue"))
        await settle(running, 1)
        shown = await asyncio.to_thread(command, running, "status", "web")
        assert "rolled-back" in shown.stdout
        assert (await running.service("web"))["trouble"] is None
        told = await asyncio.to_thread(command, running, "rollback", "web", "--undo")
        assert told.returncode == 0, told.stderr
        await running.until(lambda: answers(running, b"green"))


async def answers(running: Running, body: bytes) -> bool:
    return (await running.get("web", "/env?name=COLOUR")).body == body


async def open_websocket(
    running: Running,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = running.gateway.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = accept("dGhlIHNhbXBsZSBub25jZQ==").decode()
    lines = (f"GET /websocket?key={key} HTTP/1.1", "Host: web.localhost", *ASK, "", "")
    writer.write("\r\n".join(lines).encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_a_download_and_a_websocket_in_a_scale_down(tmp_path: Path) -> None:
    """Both on replicas that leave: the one ends well within `drain`, the other is told to close."""
    file = configuration(tmp_path, {"web": web(least=3, balance="round_robin")})
    async with tidegate(file) as running:
        await settle(running, 3)
        sockets = [await open_websocket(running) for _ in range(3)]
        path = "/stream?chunks=40&ms=150&size=100000"
        async with asyncio.TaskGroup() as group:
            downloads = [group.create_task(running.get("web", path)) for _ in range(3)]
            await running.until(lambda: each_has_two(running))
            traffic = group.create_task(loaded(running, downloads))
            edit(file, lambda all_: all_["web"].update(scaling={"min": 1, "max": 1}))
            assert (await running.api("/v1/reload", "POST")).status == 200
            await running.until(lambda: is_alone(running))
            assert not any(task.done() for task in downloads), "they are on replicas that leave"
            told = [group.create_task(closed(pair)) for pair in sockets]
            for task in asyncio.as_completed(told):
                await task
                if sum(one.done() for one in told) == 2:
                    break
            assert not all(task.done() for task in told), "one replica stays, and so does its own"
            await settle(running, 1)
            (left,) = [pair for pair, task in zip(sockets, told, strict=True) if not task.done()]
            left[1].write(Frame(CLOSE, b"\x03\xe8", masked=True).encode())
        assert traffic.done()
        assert [len(task.result().body) for task in downloads] == [4_000_000] * 3
        assert [task.result().status for task in downloads] == [200] * 3
        codes = sorted(task.result() for task in told)
        assert codes == [1000, 1001, 1001]


async def each_has_two(running: Running) -> bool:
    return [one["in_flight"] for one in await running.replicas("web", "ready")] == [2, 2, 2]


async def loaded(running: Running, until: "Sequence[asyncio.Task[Answer]]") -> None:
    async with load(running):
        await asyncio.wait(until)


async def is_alone(running: Running) -> bool:
    return len(await running.replicas("web", "ready")) == 1


async def closed(pair: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> int:
    """The code with which it was closed."""
    reader, writer = pair
    frame = await read_frame(reader)
    assert frame.opcode == CLOSE
    writer.write(Frame(CLOSE, frame.payload[:2], masked=True).encode())
    assert await reader.read() == b""
    writer.close()
    return int.from_bytes(frame.payload[:2], "big")


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_websocket_is_told_to_close_in_a_restart(tmp_path: Path, workers: int) -> None:
    gateway = {"listen": ["127.0.0.1:0"], "workers": workers}
    file = configuration(tmp_path, {"web": web(least=1)}, gateway=gateway)
    async with tidegate(file) as running:
        await settle(running, 1)
        reader, writer = await open_websocket(running)
        writer.write(Frame(TEXT, b"hello", masked=True).encode())
        assert await read_frame(reader) == Frame(TEXT, b"hello")
        assert (await running.api("/v1/services/web/restart", "POST")).status == 202
        assert await closed((reader, writer)) == 1001


async def test_a_replica_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    """Its place is free from the start of its end, and nothing of it is left."""
    deaf = {"COLOUR": "blue", "IGNORE_TERM": "1"}
    file = configuration(tmp_path, {"web": web(least=1, env=deaf, stop_grace="500ms")})
    async with tidegate(file) as running:
        await settle(running, 1)
        processes = descendants(running.process.pid)
        begun = asyncio.get_running_loop().time()
        async with load(running):
            assert (await running.api("/v1/services/web/restart", "POST")).status == 202
            await running.until(lambda: none_of(running, processes))
            await settle(running, 1)
        assert asyncio.get_running_loop().time() - begun > 0.5


async def none_of(running: Running, processes: set[int]) -> bool:
    """But the guard that watches over all of them."""
    return len(descendants(running.process.pid) & processes) <= 1


async def test_a_request_that_comes_as_the_last_replica_stops_is_served(tmp_path: Path) -> None:
    """Again and again, at every moment of falling asleep."""
    idle = {"idle": {"stop_after": "50ms"}}
    services = {name: app(scaling=idle) for name in "abcdefgh"}
    rng = random.Random(3)
    async with tidegate(configuration(tmp_path, services)) as running:

        async def knock(name: str) -> list[int]:
            seen = []
            for _ in range(12):
                seen.append((await running.request("POST", name, "/echo", data=b"x")).status)
                await asyncio.sleep(rng.uniform(0.8, 1.6))
            return seen

        statuses = await asyncio.gather(*map(knock, services))
        assert {status for seen in statuses for status in seen} == {200}
        assert len(running.said("replica-stopped")) > 20, "they did fall asleep"


async def test_what_was_restarted_is_adopted_and_not_restarted_again(tmp_path: Path) -> None:
    """And what was rolled back stays so."""
    file = configuration(tmp_path, {"web": web(least=1)})
    async with tidegate(file) as running:
        await settle(running, 1)
        await running.until(lambda: is_remembered(tmp_path))
        edit(file, lambda all_: all_["web"].update(command=["false"]))
        assert (await running.api("/v1/reload", "POST")).status == 200
        await running.until(lambda: is_in_phase(running, "rolled-back"))
    async with tidegate(file) as running:
        await settle(running, 1)
        assert await is_in_phase(running, "rolled-back")
        assert await answers(running, b"blue")
        book = Book(running)
        async with calling(book, ("GET", "web", "/", b"", True)):
            await running.until(lambda: has_served(book, 50))
        assert (book.wrong, book.lost) == ([], {})


async def has_served(book: Book, count: int) -> bool:
    return book.served["web"] >= count
