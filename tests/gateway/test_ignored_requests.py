"""Requests that neither wake a service nor keep it awake, over real sockets."""

from typing import Any

import pytest

from cluster.messages import LoadReport, Wake
from config.service import Service
from gateway.routed import routed
from tests.support.raw_http import Call, get, say_hello, stage, until
from tests.support.sleeping_stage import last_report, served

ANSWER = {"status": 200, "headers": {"X-State": "dormant"}, "body": "asleep"}
ROBOT = "User-Agent: UptimeRobot/2.0"


def ignoring(**changes: Any) -> dict[str, Any]:
    ignored = {"user_agents": ["uptimerobot"], "answer": ANSWER}
    return {"scaling": {"idle": {"ignore": ignored}}, **changes}


@pytest.mark.rule("Tidegate: ignored requests", side="client")
async def test_an_ignored_request_gets_the_static_answer_and_wakes_nobody() -> None:
    async with served(**ignoring()) as s:
        client = await s.client()
        for _ in range(2):  # the connection stays
            answer = await client.ask(get("/", ROBOT))
            assert (answer.status, answer.body) == (200, b"asleep")
            assert answer.value("X-State") == "dormant"
        head = await client.ask(get("/", ROBOT, method="HEAD"), to_head=True)
        assert head.value("Content-Length") == "6"
        assert s.events.log == []
        assert s.stats().requests == {200: 3}
        assert sum(s.stats().duration.buckets) == 3


async def test_an_ignored_upload_is_answered_and_closed() -> None:
    """RFC 9112 §9.6: its body is not waited for."""
    async with served(**ignoring()) as s:
        client = await s.client()
        await client.send(get("/", ROBOT, "Content-Length: 10", method="POST") + b"part")
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (200, "close")
        assert await client.is_closed()
        assert s.events.log == []


@pytest.mark.rule("Tidegate: ignored requests", side="client")
async def test_awake_it_is_served_and_counted_and_is_no_activity() -> None:
    async with served(say_hello, **ignoring()) as s:
        client = await s.client()
        assert (await client.ask(get())).body == b"hello"
        before = await last_report(s)
        for _ in range(3):
            assert (await client.ask(get("/", ROBOT))).body == b"hello"
        seen = s.events.of(LoadReport).index(before) + 1
        # Load it is, in however many reports.
        await until(lambda: sum(one.requests for one in s.events.of(LoadReport)[seen:]) == 3)
        after = await last_report(s)
        assert after.active_at == before.active_at
        assert s.stats().requests == {200: 4}
        assert (await client.ask(get())).body == b"hello"
        assert ((await last_report(s)).active_at or 0.0) > (after.active_at or 0.0)


async def test_an_ignored_request_under_way_keeps_nobody_awake() -> None:
    async def slow(call: Call) -> None:
        await call.request()
        await call.reader.read()

    async with served(slow, **ignoring()) as s:
        client = await s.client()
        await client.send(get("/", ROBOT))
        await until(lambda: s.replicas[0].heads)
        report = await last_report(s)
        assert (report.in_flight, report.silent, report.keeping_awake) == (1, 1, 0)
        client.reset()
        await until(lambda: s.stats().in_flight == 0)
        gone = await last_report(s)
        assert (gone.silent, gone.active_at) == (0, report.active_at)


async def test_one_that_waits_for_a_slot_is_sent_away_when_the_service_falls_asleep() -> None:
    async def slow(call: Call) -> None:
        await call.request()
        await call.reader.read()

    async with served(slow, concurrency=1, **ignoring()) as s:
        first, second = await s.client(), await s.client()
        await first.send(get())
        await until(lambda: s.replicas[0].heads)
        await second.send(get("/", ROBOT))
        await until(lambda: s.stats().queued == 1)
        wakes = len(s.events.of(Wake))
        s.publish()
        assert (await second.answer()).body == b"asleep"
        assert len(s.events.of(Wake)) == wakes


async def test_one_whose_replica_goes_away_gets_the_static_answer() -> None:
    async def closing(call: Call) -> None:
        await call.request()
        s.publish()

    async with served(closing, **ignoring()) as s:
        client = await s.client()
        assert (await client.ask(get("/", ROBOT))).body == b"asleep"
        assert s.events.of(Wake) == []


async def test_a_reload_opens_and_closes_the_door() -> None:
    async with served() as s:
        client = await s.client()
        services = {"web": Service.model_validate({"hosts": ("*",), **ignoring()})}
        s.gateway.configure([routed(name, one) for name, one in services.items()], s.settings)
        assert (await client.ask(get("/", ROBOT))).body == b"asleep"
        plain = Service.model_validate({"hosts": ("*",)})
        s.gateway.configure([routed("web", plain)], s.settings)
        await client.send(get("/", ROBOT))
        await until(lambda: s.events.of(Wake))


def test_a_service_without_any_of_it_has_no_door() -> None:
    """What it costs others: one look at a field that is None."""
    assert routed("web", Service()).sleeping is None
    assert routed("web", Service.model_validate(ignoring())).sleeping is not None


# Who never wakes


@pytest.mark.rule("Tidegate: only valid requests wake", side="client")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",  # RDP
        b"SSH-2.0-scanner\r\n",
        b"\xfe\x01\xfa",  # a Minecraft list ping
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: web.test\r\n",  # never complete
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    ],
)
async def test_what_is_no_valid_request_wakes_nobody(data: bytes) -> None:
    """itzg/docker-minecraft-server#4140: even where the service has every host."""
    async with stage(header_timeout=0.2) as s:
        client = await s.client()
        await client.send(data)
        client.writer.write_eof()
        await client.rest()
        assert s.events.log == []
        assert s.stats().requests == {}


async def test_the_network_is_that_of_a_trusted_proxys_client() -> None:
    ignored = {"networks": ["192.0.2.0/24"], "answer": ANSWER}
    web = {"name": "web", "hosts": ("*",), "scaling": {"idle": {"ignore": ignored}}}
    services = {"web": Service.model_validate(web)}
    behind = get("/", "X-Forwarded-For: 192.0.2.7")
    async with stage(services=services, trusted_proxies=("127.0.0.1",)) as s:
        assert (await (await s.client()).ask(behind)).body == b"asleep"
        assert s.events.log == []
    async with stage(services=services) as s:  # a stranger may say what it likes
        await (await s.client()).send(behind)
        await until(lambda: s.events.of(Wake))
