"""Every route answers what the contract says, over a real socket."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from admin.ports import ReloadResult
from cluster.runtime import LogLine, RuntimeFailure
from tests.support.operated_plane import OperatedPlane, asleep, awake


async def get(client: ClientSession, path: str) -> tuple[int, Any]:
    async with client.get(path) as response:
        return response.status, await response.json(content_type=None)


async def test_alive_and_ready_say_so(client: ClientSession) -> None:
    assert await get(client, "/healthz") == (200, {"status": "alive"})
    assert await get(client, "/readyz") == (200, {"status": "ready"})


async def test_not_ready_while_draining_but_alive(
    client: ClientSession, plane: OperatedPlane
) -> None:
    plane.unready = "draining"
    status, problem = await get(client, "/readyz")
    assert (status, problem["code"], problem["detail"]) == (503, "not-ready", "draining")
    assert (await get(client, "/healthz"))[0] == 200


async def test_a_service_has_all_fields_of_the_contract(client: ClientSession) -> None:
    status, service = await get(client, "/v1/services/web")
    assert status == 200
    assert service == {
        "name": "web",
        "revision": "0a1b2c3d",
        "desired": 2,
        "mode": "stable",
        "in_flight": 7,
        "queued": 1,
        "replicas": [
            {
                "id": "web-1",
                "state": "ready",
                "address": "127.0.0.1:40000",
                "revision": "0a1b2c3d",
                "in_flight": 7,
                "started_at": "2023-11-14T22:13:20Z",
                "reason": "startup probe passed",
                "ejected": False,
            },
            {
                "id": "web-2",
                "state": "starting",
                "address": "127.0.0.1:40000",
                "revision": "0a1b2c3d",
                "in_flight": 0,
                "started_at": "2023-11-14T22:13:20Z",
                "reason": "",
                "ejected": False,
            },
        ],
        "last_decision": {
            "at": "2023-11-14T22:13:20Z",
            "before": 1,
            "replicas": 2,
            "mode": "stable",
            "reason": "15 in flight on average over 60s, target 10 per replica",
        },
        "trouble": None,
        "hosts": ["web.localhost"],
        "min": 0,
        "max": 10,
        "ready": 1,
        "leases": [],
        "waits_for": [],
        "completed": False,
        "rollout": None,
    }


async def test_trouble_is_told_with_its_code(client: ClientSession) -> None:
    _, service = await get(client, "/v1/services/job")
    assert service["trouble"] == {
        "code": "crash-looping",
        "message": "exited with code 1: [boom]",
        "retry_after": 4.0,
    }


@pytest.mark.parametrize(
    ("query", "names", "following"),
    [
        ("", ["web", "api", "job"], None),
        ("?used=true", ["web", "job"], None),
        ("?used=", ["web", "job"], None),
        ("?limit=2", ["web", "api"], "api"),
        ("?limit=3", ["web", "api", "job"], None),
        ("?limit=2&after=api", ["job"], None),
        ("?after=web", ["api", "job"], None),
        ("?after=gone", [], None),
        ("?used=true&limit=1", ["web"], "web"),
        ("?used=true&limit=1&after=web", ["job"], None),
    ],
)
async def test_services_can_be_paged_and_narrowed(
    client: ClientSession, query: str, names: list[str], following: str | None
) -> None:
    status, answer = await get(client, f"/v1/services{query}")
    assert status == 200
    assert [service["name"] for service in answer["services"]] == names
    assert (answer["total"], answer["next"]) == (3, following)


async def test_services_come_with_what_is_wrong_with_the_file(
    client: ClientSession, plane: OperatedPlane
) -> None:
    _, answer = await get(client, "/v1/services")
    assert answer["problems"] == []
    plane.result = ReloadResult(False, ("a.yaml:1: one",))
    _, answer = await get(client, "/v1/services?limit=1")
    assert answer["problems"] == ["a.yaml:1: one"]


async def test_scaling_by_hand_and_back(client: ClientSession, plane: OperatedPlane) -> None:
    path = "/v1/services/web/scale"
    async with client.post(path, json={"replicas": 3, "for": "10m"}) as response:
        assert response.status == 200
        service = await response.json()
    assert (service["desired"], service["mode"]) == (3, "manual")
    assert plane.hand == {"web": (3, 600.0)}

    async with client.delete(path) as response:
        assert (response.status, (await response.json())["mode"]) == (200, "stable")
    assert plane.hand == {}


@pytest.mark.parametrize("body", [{"replicas": 0}, {"replicas": 0, "for": None}])
async def test_scaling_without_an_end(
    client: ClientSession, plane: OperatedPlane, body: dict[str, object]
) -> None:
    async with client.post("/v1/services/web/scale", json=body) as response:
        assert response.status == 200
    assert plane.hand == {"web": (0, None)}


async def test_a_restart_is_accepted(client: ClientSession, plane: OperatedPlane) -> None:
    async with client.post("/v1/services/web/restart") as response:
        assert response.status == 202
        assert (await response.json())["name"] == "web"
    assert plane.restarted == ["web"]


async def test_a_rollback_says_what_is_run_instead_and_can_be_undone(
    client: ClientSession, plane: OperatedPlane
) -> None:
    plane.former["web"] = "99999999"
    async with client.post("/v1/services/web/rollback") as response:
        assert response.status == 202
        answer = await response.json()
    assert answer["revision"] == "99999999"
    assert answer["rollout"]["phase"] == "rolled-back"
    assert answer["rollout"]["filed"] == "0a1b2c3d"
    async with client.delete("/v1/services/web/rollback") as response:
        assert response.status == 202
        assert (await response.json())["rollout"] is None


async def test_without_a_former_revision_there_is_no_way_back(client: ClientSession) -> None:
    async with client.post("/v1/services/web/rollback") as response:
        assert response.status == 409
        assert (await response.json())["code"] == "no-former-revision"


@pytest.mark.parametrize("verb", ["restart", "rollback"])
async def test_what_others_run_is_not_ours_to_replace(
    client: ClientSession, plane: OperatedPlane, verb: str
) -> None:
    plane.known["web"] = replace(plane.known["web"], revision="")
    async with client.post(f"/v1/services/web/{verb}") as response:
        assert response.status == 409
        assert (await response.json())["code"] == "not-ours"


async def test_decisions_are_limited_and_dated(client: ClientSession) -> None:
    _, answer = await get(client, "/v1/services/web/decisions?limit=1")
    assert [one["at"] for one in answer["decisions"]] == ["2023-11-14T22:13:20Z"]
    _, answer = await get(client, "/v1/services/web/decisions")
    assert [one["replicas"] for one in answer["decisions"]] == [2, 1]


@pytest.mark.parametrize(
    ("at", "replicas"),
    [
        ("2023-11-14T22:13:20Z", [2, 1]),
        ("2023-11-14T22:13:19.999Z", [1]),
        ("2023-11-14T23:12:20%2B01:00", [1]),
        ("2023-11-14T23:12:20+01:00", [1]),
        ("2023-11-14T23:12:20.5+01:00", [1]),
        ("2023-11-14+22:12:20Z", [1]),
        ("2023-11-14T22:12:19Z", []),
    ],
)
async def test_decisions_begin_with_the_one_in_force_at_a_time(
    client: ClientSession, at: str, replicas: list[int]
) -> None:
    url = URL(f"/v1/services/web/decisions?at={at}", encoded=True)
    async with client.get(url) as response:
        answer = await response.json()
    assert [one["replicas"] for one in answer["decisions"]] == replicas
    for one in answer["decisions"][-1:]:
        assert (one["since"], one["until"]) == ("2023-11-14T22:12:20Z", "2023-11-14T22:13:20Z")
        assert one["result"]["says"] == "1 replica ready after 1.3s"


@pytest.mark.parametrize("at", ["yesterday", "2023-11-14T22:13:20", "2023-11-14+22:13", "", "99"])
async def test_a_time_without_a_zone_is_no_time(client: ClientSession, at: str) -> None:
    status, problem = await get(client, f"/v1/services/web/decisions?at={at}")
    assert (status, problem["code"]) == (422, "invalid-request")
    assert "must be a time with its zone, such as 2026-11-23T08:00:00Z" in problem["detail"]


async def test_explain_tells_inputs_rules_limits_and_outcome(client: ClientSession) -> None:
    _, story = await get(client, "/v1/services/web/explain")
    assert story["service"] == "web"
    assert story["at"] == "2023-11-14T22:13:20Z"
    assert {"inputs", "rules", "limits", "outcome"} <= story.keys()


async def test_a_reload_tells_what_changed(client: ClientSession, plane: OperatedPlane) -> None:
    plane.result = ReloadResult(
        True,
        (),
        changed=("web",),
        added=("new",),
        restart_needed=("gateway.listen",),
        warnings=("a.yaml:3: warning: web: is unwise",),
    )
    async with client.post("/v1/reload") as response:
        assert response.status == 200
        answer = await response.json()
    assert answer["changed"] == ["web"]
    assert answer["added"] == ["new"]
    assert answer["restart_needed"] == ["gateway.listen"]
    assert answer["warnings"] == ["a.yaml:3: warning: web: is unwise"]


async def test_a_refused_reload_is_422_with_every_problem(
    client: ClientSession, plane: OperatedPlane
) -> None:
    plane.result = ReloadResult(False, ("a.yaml:1: one", "a.yaml:2: two"))
    async with client.post("/v1/reload") as response:
        assert response.status == 422
        problem = await response.json(content_type="application/problem+json")
    assert problem["code"] == "invalid-config"
    assert problem["problems"] == ["a.yaml:1: one", "a.yaml:2: two"]


async def _reload(client: ClientSession) -> None:
    await client.post("/v1/reload")


async def test_a_reload_goes_on_when_its_client_leaves(
    client: ClientSession, plane: OperatedPlane
) -> None:
    plane.reload_gate = asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        asked = group.create_task(_reload(client), name="reload")
        await plane.reloading.wait()
        asked.cancel()
    plane.reload_gate.set()
    async with asyncio.timeout(30):
        await plane.reloaded.wait()


async def test_logs_are_lines_of_json(client: ClientSession, plane: OperatedPlane) -> None:
    async with client.get("/v1/services/web/logs?tail=7") as response:
        assert response.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
        text = await response.text()
    assert text.splitlines() == [
        '{"replica":"web-1","stream":"stdout","at":"2023-11-14T22:13:20Z","text":"hello"}',
        '{"replica":"web-2","stream":"stderr","at":null,"text":"oh no"}',
    ]
    assert plane.asked_logs == ("web", 7, False)


async def test_following_logs_goes_on_until_the_client_leaves(
    client: ClientSession, plane: OperatedPlane
) -> None:
    async with asyncio.timeout(30):
        async with client.get("/v1/services/web/logs?follow=true&tail=0") as response:
            seen = [await response.content.readline() for _ in range(2)]
            plane.more_lines.put_nowait(LogLine("web-1", "stdout", "later"))
            while b"later" not in seen[-1]:
                seen.append(await response.content.readline())
            # At a heartbeat of 50 ms an empty line comes while nothing is said.
            while seen[-1] != b"\n":
                seen.append(await response.content.readline())
        await plane.logs_closed.wait()


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("unsupported", 501, "unsupported"),
        ("engine-unavailable", 502, "runtime-failure"),
    ],
)
async def test_logs_that_cannot_be_read_are_a_problem(
    client: ClientSession, plane: OperatedPlane, code: str, status: int, told: str
) -> None:
    plane.lines = ()
    plane.logs_fail = RuntimeFailure(code, "no logs here")
    got, problem = await get(client, "/v1/services/web/logs")
    assert (got, problem["code"], problem["detail"]) == (status, told, "no logs here")
    assert problem["cause"] == code


async def test_logs_that_fail_half_way_end_with_an_error_line(
    client: ClientSession, plane: OperatedPlane
) -> None:
    plane.logs_fail = RuntimeFailure("engine-unavailable", "the engine went away")
    async with client.get("/v1/services/web/logs") as response:
        assert response.status == 200
        lines = (await response.text()).splitlines()
    assert lines[2:] == ['{"error":{"code":"engine-unavailable","message":"the engine went away"}}']


async def test_metrics_are_prometheus_text(client: ClientSession) -> None:
    async with client.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'tidegate_things_total{service="web"} 3.0' in await response.text()


async def test_metrics_are_openmetrics_for_whom_asks(client: ClientSession) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with client.get("/metrics", headers=headers) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


async def test_metrics_survive_an_odd_accept(client: ClientSession) -> None:
    headers = {"Accept": "application/openmetrics-text; version=new"}
    async with client.get("/metrics", headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")


async def test_head_answers_as_get_without_a_body(client: ClientSession) -> None:
    async with client.head("/v1/services") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_ten_thousand_services_are_told_whole(
    client: ClientSession, plane: OperatedPlane
) -> None:
    # A service in use and a sleeping one in turn: both shapes at scale.
    plane.known = {
        name: awake(name) if number % 2 else replace(asleep(name), revision=str(number))
        for number, name in ((number, f"service-{number}") for number in range(10_000))
    }
    status, answer = await get(client, "/v1/services")
    assert status == 200
    assert len(answer["services"]) == answer["total"] == 10_000
    assert answer["services"][-1]["name"] == "service-9999"
