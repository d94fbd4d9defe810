"""The whole system on local processes, as a user meets it: over HTTP, signals and the file."""

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.running import (
    APP,
    Running,
    app,
    configuration,
    cpu_seconds,
    descendants,
    is_alive,
    tidegate,
    write,
)

FAST_IDLE = {"idle": {"stop_after": "1s"}}


async def none_left(running: Running) -> bool:
    return not descendants(running.process.pid)


async def test_a_request_wakes_a_service_and_idleness_ends_it(tmp_path: Path) -> None:
    """Contract §5 and the sleep ladder: nothing is left running, not even a helper process."""
    async with tidegate(configuration(tmp_path, {"web": app()})) as running:
        assert not descendants(running.process.pid)
        answer = await running.get("web")
        assert answer.status == 200
        assert answer.headers["Server-Timing"].startswith("wake;dur=")
        warm = await running.get("web")
        assert "Server-Timing" not in warm.headers
        content = yaml.safe_load(await asyncio.to_thread(running.file.read_text))
        write(running.file, {**content, "services": {"web": app(scaling=FAST_IDLE)}})
        assert (await running.api("/v1/reload", "POST")).status == 200
        await running.until(lambda: none_left(running))
        view = await running.service("web")
        assert (view["desired"], view["mode"], view["replicas"]) == (0, "idle", [])
        assert (await running.get("web")).status == 200


async def test_what_came_of_each_decision_is_told_with_the_times_it_was_in_force(
    tmp_path: Path,
) -> None:
    file = configuration(tmp_path, {"web": app(scaling=FAST_IDLE)})
    async with tidegate(file) as running:

        async def decisions(query: str = "") -> list[dict[str, Any]]:
            answer = await running.api(f"/v1/services/web/decisions{query}")
            found: list[dict[str, Any]] = answer.json["decisions"]
            return found

        async def stopped() -> bool:
            newest = (await decisions())[0]
            return bool(newest["replicas"] == 0 and newest["result"]["stage"] == "reached")

        await running.get("web")
        await running.until(stopped)
        down, up = (await decisions())[0], (await decisions())[-1]
        assert down["result"]["says"].startswith("no replica left after ")
        assert up["result"]["says"].startswith("1 replica ready after ")
        assert 0 < up["result"]["seconds"] < 30
        assert (up["until"], down["until"]) == (down["at"], None)
        begin, end = (datetime.fromisoformat(up[key]).timestamp() for key in ("at", "until"))
        between = datetime.fromtimestamp((begin + end) / 2, UTC).isoformat()
        assert (await decisions(f"?at={between}&limit=1"))[0]["at"] == up["at"]


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_service_that_may_not_be_awake_says_so_at_once(
    tmp_path: Path, workers: int
) -> None:
    """Contract §5: not after `queue.timeout`, and with the time until it may be; also after a
    reload that brings the service, and in a gateway process that was there before."""
    always = {"schedule": "0 0 1 1 *", "until": "59 23 31 12 *", "max": 0}
    asleep = app(scaling={"rules": [{"metric": "concurrency"}, always]})
    gateway = {"listen": ["127.0.0.1:0"], "workers": workers}
    file = configuration(tmp_path, {"night": asleep, "web": app()}, gateway=gateway)
    async with tidegate(file) as running:
        answer = await running.get("night")
        assert (answer.status, answer.json["code"]) == (503, "asleep")
        assert 1 <= int(answer.headers["Retry-After"]) <= 366 * 86_400
        assert "UTC" in answer.json["detail"]
        assert (await running.service("night"))["max"] == 0
        assert (await running.service("web"))["max"] == 10

        configuration(tmp_path, {"night": asleep, "late": asleep, "web": app()}, gateway=gateway)
        assert (await running.api("/v1/reload", "POST")).status == 200
        assert await is_refused(running, "late", "asleep")

        body = {"replicas": 0, "for": "10m"}
        await running.api("/v1/services/web/scale", "POST", json=body)
        await running.until(lambda: is_refused(running, "web", "switched-off"))
        assert 590 <= int((await running.get("web")).headers["Retry-After"]) <= 600
        await running.api("/v1/services/web/scale", "DELETE")
        await running.until(lambda: is_served(running, "web"))
        assert not (await running.service("night"))["replicas"]


async def is_refused(running: Running, service: str, code: str) -> bool:
    answer = await running.get(service)
    return answer.status == 503 and bool(answer.json["code"] == code)


async def is_served(running: Running, service: str) -> bool:
    return (await running.get(service)).status == 200


@pytest.mark.rule("Tidegate: no route", side="client")
async def test_unknown_hosts_are_404_and_wake_nobody(tmp_path: Path) -> None:
    async with tidegate(configuration(tmp_path, {"web": app()})) as running:
        answer = await running.get("nobody")
        assert (answer.status, answer.json["code"]) == (404, "no-route")
        assert not descendants(running.process.pid)


async def test_load_scales_up_and_no_request_fails(tmp_path: Path) -> None:
    """Sustained concurrency of 30 at a target of 10 wants three replicas."""
    file = configuration(tmp_path, {"web": app(scaling={"max": 5})})
    async with tidegate(file) as running:
        statuses: list[int] = []
        done = asyncio.Event()

        async def client() -> None:
            while not done.is_set():
                statuses.append((await running.get("web", "/sleep?ms=100")).status)

        async def three_ready() -> bool:
            return len(await running.replicas("web", "ready")) >= 3

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(client(), name=f"client {number}")
            await running.until(three_ready)
            done.set()
        assert set(statuses) == {200}


async def test_sigterm_finishes_requests_and_leaves_nothing(tmp_path: Path) -> None:
    async with tidegate(configuration(tmp_path, {"web": app()})) as running:
        await running.get("web")
        started = descendants(running.process.pid)
        assert started
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(running.get("web", "/sleep?ms=4000"), name="slow request")
            await running.until(lambda: in_flight(running, "web"))
            code = await running.end()
        assert slow.result().status == 200
        assert code == 0
        assert not any(is_alive(pid) for pid in started)


async def in_flight(running: Running, service: str) -> bool:
    return bool((await running.service(service))["in_flight"])


async def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    async with tidegate(configuration(tmp_path, {"web": app()})) as running:
        await running.get("web")
        started = descendants(running.process.pid)
        request = asyncio.ensure_future(running.get("web", "/sleep?ms=60000"))  # noqa: TID251
        await running.until(lambda: in_flight(running, "web"))
        running.process.send_signal(signal.SIGTERM)
        await running.until(lambda: is_draining(running))
        assert await running.end(within=30) == 0
        with pytest.raises(aiohttp.ClientError):
            await request
        assert not any(is_alive(pid) for pid in started)


async def is_draining(running: Running) -> bool:
    answer = await running.api("/readyz")
    return answer.status == 503 and "draining" in answer.body.decode()


async def test_kill_9_leaves_no_orphan_where_none_shall_wait(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app(scaling={"min": 2})}, orphan_timeout=0)
    async with tidegate(file) as running:
        await running.until(lambda: ready(running, "web", 2))
        started = descendants(running.process.pid)
        await running.end(signal.SIGKILL)

        async def all_gone() -> bool:
            return not any(is_alive(pid) for pid in started)

        await running.until(all_gone)


async def ready(running: Running, service: str, count: int) -> bool:
    return len(await running.replicas(service, "ready")) == count


async def test_kept_replicas_are_adopted_and_not_restarted(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()})
    async with tidegate(file, "--keep-replicas") as running:
        before = (await running.get("web", "/env?name=PORT")).body
        names = [replica["id"] for replica in await running.replicas("web")]
        started = [
            pid
            for pid in descendants(running.process.pid)
            if b"replica_app" in Path(f"/proc/{pid}/cmdline").read_bytes()  # noqa: ASYNC240
        ]
        assert started
        assert await running.end() == 0
    async with tidegate(file) as again:
        assert [replica["id"] for replica in await again.replicas("web")] == names
        assert (await again.get("web", "/env?name=PORT")).body == before
        assert all(is_alive(pid) for pid in started)
        assert again.said("replica-adopted")
        assert await again.end() == 0
        assert not any(is_alive(pid) for pid in started)


async def test_what_a_replica_says_is_for_operators_only(tmp_path: Path) -> None:
    """Its last words may hold anything, a password too."""
    code = "raise SystemExit('cannot log in with hunter2')"
    service = {"command": [sys.executable, "-c", code]}
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        answer = await running.get("web")
        assert answer.status == 503
        assert "exited with code 1" in answer.json["detail"]
        assert b"hunter2" not in answer.body
        assert "hunter2" in (await running.service("web"))["trouble"]["message"]


BROKEN: list[Any] = [
    pytest.param(
        {"command": [sys.executable, "-c", "raise SystemExit(3)"]},
        "exited with code 3",
        id="a command that exits at once",
    ),
    pytest.param({"command": ["no-such-program-here"]}, "no-such-program-here", id="no command"),
    pytest.param(
        {
            "command": [sys.executable, "-c", "import time; time.sleep(600)"],
            "health": {"startup": {"tcp": True, "deadline": "500ms"}},
        },
        "did not open",
        id="a port that never opens",
    ),
    pytest.param(
        {
            "command": APP,
            "health": {"startup": {"http": "/status/500", "deadline": "500ms"}},
        },
        "500",
        id="a startup probe that never passes",
    ),
]


@pytest.mark.parametrize(("service", "reason"), BROKEN)
async def test_what_cannot_start_is_503_with_the_reason(
    tmp_path: Path, service: dict[str, Any], reason: str
) -> None:
    """For the client, in status and in the log; without a busy loop."""
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        answer = await running.get("web")
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json["code"] == "start-failed"
        assert reason in answer.json["detail"]
        view = await running.service("web")
        assert reason in view["trouble"]["message"]
        assert (await running.api("/healthz")).status == 200

        async def logged() -> bool:
            return any(reason in line for line in running.said("replica-failed"))

        await running.until(logged)


async def test_a_crash_loop_backs_off_and_says_so(tmp_path: Path) -> None:
    service = {"command": [sys.executable, "-c", "raise SystemExit(3)"]}
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        await running.get("web")

        async def looping() -> bool:
            trouble = (await running.service("web"))["trouble"]
            return bool(trouble and trouble["code"] == "crash-looping")

        await running.until(looping)
        answer = await running.get("web")
        assert (answer.status, answer.json["code"]) == (503, "crash-looping")
        assert len(running.said("replica-failed")) <= 4
        assert cpu_seconds(running.process.pid) < 3, "a busy loop"


async def test_a_replica_that_fails_liveness_is_replaced(tmp_path: Path) -> None:
    liveness = {"http": "/live", "every": "100ms", "failures": 2}
    file = configuration(tmp_path, {"web": app(health={"liveness": liveness})})
    async with tidegate(file) as running:
        await running.get("web")
        (first,) = await running.replicas("web")
        await running.get("web", "/toggle/live")

        async def replaced() -> bool:
            present = await running.replicas("web", "ready")
            return [replica["id"] for replica in present] not in ([], [first["id"]])

        await running.until(replaced)
        assert (await running.get("web")).status == 200


async def test_an_unready_replica_leaves_and_is_replaced(tmp_path: Path) -> None:
    readiness = {"http": "/ready", "every": "100ms", "failures": 2}
    file = configuration(tmp_path, {"web": app(health={"readiness": readiness})})
    async with tidegate(file) as running:
        await running.get("web")
        (first,) = await running.replicas("web")
        await running.get("web", "/toggle/ready")

        async def replaced() -> bool:
            present = [replica["id"] for replica in await running.replicas("web")]
            return len(present) == 1 and present != [first["id"]]

        await running.until(replaced)
        assert (await running.get("web")).status == 200


async def test_a_killed_replica_is_replaced(tmp_path: Path) -> None:
    async with tidegate(configuration(tmp_path, {"web": app(scaling={"min": 1})})) as running:
        await running.until(lambda: ready(running, "web", 1))
        (first,) = await running.replicas("web")
        await running.get("web", "/exit?code=7")

        async def replaced() -> bool:
            present = await running.replicas("web", "ready")
            return bool(present) and present[0]["id"] != first["id"]

        await running.until(replaced)

        async def told() -> bool:
            return any("code 7" in line for line in running.said("replica-failed"))

        await running.until(told)


async def test_scaling_by_hand_and_back(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app(scaling=FAST_IDLE)})
    async with tidegate(file) as running:
        path = "/v1/services/web/scale"
        assert (await running.api(path, "POST", json={"replicas": 3})).status == 200
        await running.until(lambda: ready(running, "web", 3))
        assert (await running.service("web"))["mode"] == "manual"
        refused = await running.api(path, "POST", json={"replicas": 99})
        assert refused.status == 422
        await running.api(path, "DELETE")
        await running.until(lambda: none_left(running))


async def test_logs_show_what_replicas_print(tmp_path: Path) -> None:
    code = "import sys; print('hello from inside', flush=True); exec(open(sys.argv[1]).read())"
    service = {"command": [sys.executable, "-c", code, APP[-1]]}
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        await running.get("web")
        lines = (await running.api("/v1/services/web/logs?tail=10")).body.decode()
        assert "hello from inside" in lines


async def test_a_process_that_ends_frozen_sleepers_thaws_them(tmp_path: Path) -> None:
    idle = {"freeze_after": "300ms", "stop_after": "1h"}
    file = configuration(tmp_path, {"web": app(scaling={"idle": idle})})
    async with tidegate(file) as running:
        await running.get("web")

        async def frozen() -> bool:
            return len(await running.replicas("web", "frozen")) == 1

        for _ in range(3):
            await running.until(frozen)
            answer = await running.get("web")
            assert answer.status == 200
            assert "Server-Timing" in answer.headers
        await running.until(frozen)
        started = descendants(running.process.pid)
        assert await running.end() == 0
        assert not any(is_alive(pid) for pid in started)
