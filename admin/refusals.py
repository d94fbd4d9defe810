"""Whatever goes wrong while the API answers leaves as a problem, and as nothing else."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from admin.problems import CONTENT_TYPE, Problem, of_runtime
from admin.views import as_json
from cluster.runtime import RuntimeFailure

log = logging.getLogger("tidegate.admin")


@web.middleware
async def answer_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The outermost layer: a refusal of aiohttp and a bug of ours become problems too."""
    try:
        return await handler(request)
    except Problem as problem:
        return _response(problem)
    except RuntimeFailure as failure:
        return _response(of_runtime(failure))
    except web.HTTPException as refusal:
        return _response(_of_aiohttp(request, refusal))
    except Exception:
        log.exception("the admin API failed to answer; this is a bug, please report it")
        return _response(Problem("internal-error", "see the log of Tidegate for the cause"))


def _of_aiohttp(request: web.Request, refusal: web.HTTPException) -> Problem:
    match refusal:
        case web.HTTPNotFound():
            return Problem("not-found", f"nothing at {request.path}; see /openapi.json")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(refusal.allowed_methods))
            detail = f"{request.path} takes {allowed}, not {request.method}"
            return Problem("method-not-allowed", detail, headers={"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return Problem("body-too-large", f"more than {request.client_max_size} bytes")
        case _:
            return Problem("malformed-request", refusal.reason)


def _response(problem: Problem) -> web.Response:
    return web.Response(
        status=problem.status,
        headers=problem.headers,
        body=as_json(problem.body()),
        content_type=CONTENT_TYPE,
    )
