"""Odd requests through real sockets in random pieces: replicas see what the pure part accepts.

The replica reads with llhttp, so a request that slipped through would be one that it sees.
"""

import asyncio
import os
import random

import pytest

from config.settings import Limits
from gateway.fields import Malformed, Peer
from gateway.framing import BadFraming, follower
from gateway.head import parse_request
from tests.gateway.mutation import REQUESTS, mutated
from tests.gateway.second_reader import Stream
from tests.support.raw_http import HELLO, Call, Client, stage

SEED = int(os.environ.get("FUZZ_SEED", "9112"))
COUNT = int(os.environ.get("FUZZ_WIRE_COUNT", "3000"))

LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
METHODS = frozenset((b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS"))
# 200 for each request that is served, then the status of a refusal, if any.
Expected = tuple[list[bytes], int | None]


def expected(data: bytes) -> Expected | None:
    """Targets of the requests that must arrive whole, and the refusal that must follow them.

    None when llhttp does not know a method.
    """
    targets: list[bytes] = []
    while True:
        try:
            request = parse_request(data, 0, Limits(), Peer(b"127.0.0.1"), None)
            if request is None:
                return targets, None
            if request.method not in METHODS:
                return None
            body = follower(request.length)
            if body.done:
                body.rest = data[request.end :]
            else:
                body.feed(data[request.end :])
        except Malformed as malformed:
            return targets, malformed.status
        except BadFraming:
            return targets, 400
        if not body.done:
            return targets, None
        targets.append(request.target)
        if not request.fields.keep_alive:
            return targets, None
        data = body.rest


async def serve(call: Call) -> None:
    stream = Stream()
    while data := await call.reader.read(65536):
        for target, upgrade in stream.feed(data):
            call.replica.heads.append(target)
            await call.send(LAST if upgrade else HELLO)
            if upgrade:
                return


async def send(client: Client, data: bytes, rng: random.Random) -> None:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(0, 5)))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        client.writer.write(data[start:end])
        await asyncio.sleep(0)


@pytest.mark.rule("RFC 9112 §11.2: one meaning", side="client")
@pytest.mark.rule("RFC 9112 §11.2: any split", side="client")
async def test_replicas_see_exactly_what_was_accepted_rfc9112_11_2() -> None:
    rng = random.Random(SEED)
    served = refused = 0
    async with stage(serve) as s:
        heads = s.replicas[0].heads
        for number in range(COUNT):
            data = mutated(rng, REQUESTS)
            if (wanted := expected(data)) is None:
                continue
            targets, status = wanted
            told = f"seed {SEED}, {number}: {data!r}"
            heads.clear()
            client = await s.client()
            await send(client, data, rng)
            for _ in targets:
                assert (await client.answer()).status == 200, told
            if status is not None:
                assert (await client.head()).status in (status, 400), told
                await client.rest()
            assert heads == targets, told
            client.reset()
            served += len(targets)
            refused += status is not None
    print(f"seed {SEED}: {served} served, {refused} refused")
    assert served > COUNT // 20
    assert refused > COUNT // 4
