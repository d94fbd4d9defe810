"""Takes 2 seconds to start, as applications that load a model or warm a cache do.

GET /        a greeting
GET /ready   200 once it has started; before that, nothing listens on its port
"""

import os
import sys
import time

from serving import Request, Response, serve

SECONDS_TO_START = 2.0


def answer(request: Request) -> Response:
    return Response(f"Sorry for the wait. Process {os.getpid()} is warm now.\n".encode())


if __name__ == "__main__":
    time.sleep(SECONDS_TO_START)
    serve(answer, int(sys.argv[1]))
