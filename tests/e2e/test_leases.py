"""Leases on a whole system: from inside a replica, with the token that it was given."""

from pathlib import Path
from typing import Any

from tests.support.running import Answer, Running, app, configuration, tidegate

IDLE = {"idle": {"stop_after": "1s"}}
OPERATOR = {"Authorization": "Bearer the-operators-own"}


async def given(running: Running, service: str, name: str) -> str:
    return (await running.get(service, f"/env?name={name}")).body.decode()


async def seen(running: Running, service: str) -> dict[str, Any]:
    answer = await running.api(f"/v1/services/{service}", headers=OPERATOR)
    found: dict[str, Any] = answer.json
    return found


async def sleeps(running: Running, service: str) -> bool:
    view = await seen(running, service)
    return (view["desired"], view["replicas"]) == (0, [])


async def test_a_replica_that_is_busy_keeps_itself_awake(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("the-operators-own")
    file = configuration(
        tmp_path,
        {"web": app(scaling=IDLE), "twin": app(scaling=IDLE)},
        admin={"listen": "127.0.0.1:0", "token_file": str(token_file)},
    )
    async with tidegate(file) as running:
        twins = await given(running, "twin", "TIDEGATE_LEASE_TOKEN")
        # By the operator, until it has one of its own: from one request to the next it may be idle
        # for long, where the machine is busy.
        awake = await running.api(
            "/v1/services/web/lease", "POST", json={"for": "10m", "wake": True}, headers=OPERATOR
        )
        assert awake.status == 200
        url, token, replica = [
            await given(running, "web", name)
            for name in ("TIDEGATE_URL", "TIDEGATE_LEASE_TOKEN", "TIDEGATE_REPLICA")
        ]
        assert url == f"http://{running.admin}"
        assert token != twins

        async def inside(method: str, path: str, body: Any = None) -> Answer:
            bearer = {"Authorization": f"Bearer {token}"}
            return await running.api(f"/v1/services/{path}", method, json=body, headers=bearer)

        wish = {"for": "10m", "replica": replica}
        assert (await inside("POST", "twin/lease", wish)).status == 401
        assert (await inside("GET", "web")).status == 401
        taken = await inside("POST", "web/lease", wish)
        assert taken.status == 200
        assert taken.json["replica"] == replica
        former = f"/v1/services/web/lease/{awake.json['id']}"
        assert (await running.api(former, "DELETE", headers=OPERATOR)).status == 200
        unknown = await inside("POST", "web/lease", {"for": "10m", "replica": "twin-1"})
        assert unknown.status == 422

        await running.until(lambda: sleeps(running, "twin"))
        view = await seen(running, "web")
        assert [one["id"] for one in view["replicas"]] == [replica]
        assert [lease["id"] for lease in view["leases"]] == [taken.json["id"]]
        assert (await running.api("/v1/reload", "POST", headers=OPERATOR)).status == 200
        assert (await seen(running, "web"))["leases"] == view["leases"]

        assert (await inside("DELETE", f"web/lease/{taken.json['id']}")).status == 200
        await running.until(lambda: sleeps(running, "web"))
        everything = b"".join(
            [
                (await running.api(path, headers=OPERATOR)).body
                for path in ("/v1/services", "/v1/events?follow=false", "/metrics")
            ]
        )
        assert token.encode() not in everything
        assert not [line for line in running.log if token in str(line)]


async def test_a_lease_wakes_only_when_told_to(tmp_path: Path) -> None:
    async with tidegate(configuration(tmp_path, {"web": app(scaling=IDLE)})) as running:
        path = "/v1/services/web/lease"
        assert (await running.api(path, "POST", json={"for": "1h"})).status == 200
        assert (await running.service("web"))["desired"] == 0
        woken = await running.api(path, "POST", json={"for": "1h", "wake": True})
        assert woken.status == 200

        async def ready() -> bool:
            return bool(await running.replicas("web", "ready"))

        await running.until(ready)
        assert len((await running.service("web"))["leases"]) == 2


async def test_a_restart_ends_no_lease(tmp_path: Path) -> None:
    short = {**IDLE, "stable_window": "2s", "panic_window": "1s"}  # what was adopted is held for it
    file = configuration(tmp_path, {"web": app(scaling=short), "twin": app(scaling=short)})
    lease = {"for": "10m", "wake": True}
    async with tidegate(file, "--keep-replicas") as running:
        taken = await running.api("/v1/services/web/lease", "POST", json=lease)
        assert taken.status == 200
        await running.until(lambda: is_ready(running, "web"))
        await running.get("twin", "/")
        kept = (await seen(running, "web"))["replicas"][0]["id"]
        assert await running.end() == 0
    async with tidegate(file) as again:
        await again.until(lambda: sleeps(again, "twin"))
        view = await seen(again, "web")
        assert [one["id"] for one in view["replicas"]] == [kept]
        assert [one["id"] for one in view["leases"]] == [taken.json["id"]]
        assert view["leases"][0]["until"] == taken.json["until"]


async def is_ready(running: Running, service: str) -> bool:
    return len(await running.replicas(service, "ready")) == 1
