"""Answers at once and says which replica it is.

GET /        a greeting
GET /ready   always 200: this application is ready as soon as it listens
"""

import os
import sys

from serving import Request, Response, serve

REPLICA = os.environ.get("TIDEGATE_REPLICA") or f"process {os.getpid()}"


def answer(request: Request) -> Response:
    return Response(f"Hello from {REPLICA}.\n".encode())


if __name__ == "__main__":
    serve(answer, int(sys.argv[1]))
