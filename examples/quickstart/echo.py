"""Sends back what it gets, as it gets it.

POST /                   the request body, piece by piece while it still arrives
GET  /                   the request line and fields as this replica saw them
GET  /stream?seconds=5   Server-Sent Events, one every 200 ms
GET  /sleep?ms=250       an answer after that many milliseconds
"""

import sys
import time
from collections.abc import Iterator

from serving import Request, Response, serve

EVENT_EVERY = 0.2
LONGEST = 3600.0


def answer(request: Request) -> Response:
    try:
        return _answer(request)
    except ValueError as error:
        return Response(f"{error}\n".encode(), 400)


def _answer(request: Request) -> Response:
    match request.path:
        case "/stream":
            seconds = _amount(request, "seconds", "5")
            return Response(_events(seconds), fields={"Content-Type": "text/event-stream"})
        case "/sleep":
            milliseconds = _amount(request, "ms", "250")
            time.sleep(milliseconds / 1000)
            return Response(f"slept {milliseconds:g} ms\n".encode())
        case _ if request.method in ("GET", "HEAD"):
            return Response(_as_seen(request))
        case _:
            kind = request.fields.get("content-type", "application/octet-stream")
            return Response(request.body, fields={"Content-Type": kind})


def _amount(request: Request, name: str, default: str) -> float:
    """A number from the query. Raises ValueError."""
    amount = float(request.query.get(name, default))
    if not 0 <= amount <= LONGEST:
        raise ValueError(f"{name} must be from 0 to {LONGEST:g}")
    return amount


def _events(seconds: float) -> Iterator[bytes]:
    for number in range(1, round(seconds / EVENT_EVERY) + 1):
        yield f"data: event {number}\n\n".encode()
        time.sleep(EVENT_EVERY)


def _as_seen(request: Request) -> bytes:
    lines = [f"{request.method} {request.path}"]
    lines += [f"{name}: {value}" for name, value in request.fields.items()]
    return "\n".join([*lines, ""]).encode()


if __name__ == "__main__":
    serve(answer, int(sys.argv[1]))
