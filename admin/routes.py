"""The one table of what the API answers. Requests are routed by it and `/openapi.json` is made from
it, so that the description cannot drift from the server.
"""

from datetime import datetime

from admin.answers import Answers
from admin.operation import Operation
from admin.parameters import Parameter

_PAGE = (
    Parameter("limit", int, "this many at most", minimum=1),
    Parameter("after", str, "only services after this name in the order of the file"),
    Parameter("used", bool, "leave out those that sleep without a fault", False),
)
_NEWEST = (
    Parameter("limit", int, "this many at most", 50, minimum=1, maximum=10_000),
    Parameter("at", datetime, "begin with the one that was in force then; RFC 3339"),
)
_LOGS = (
    Parameter("tail", int, "begin with the last lines of each replica", 100, maximum=100_000),
    Parameter("follow", bool, "go on with new lines", False),
)
_EVENTS = (
    Parameter("since", int, "only events after this id; Last-Event-ID says the same", 0),
    Parameter("follow", bool, "go on with new events", True),
    Parameter("service", str, "only events of this service"),
)


def operations(do: Answers) -> tuple[Operation, ...]:
    return (*_of_the_process(do), *_that_show(do), *_that_change(do), *_that_replace(do))


def _of_the_process(do: Answers) -> tuple[Operation, ...]:
    return (
        Operation("GET", "/healthz", do.alive, "Is the process alive?", sends="Health"),
        Operation(
            "GET", "/readyz", do.ready, "May it be used?", sends="Health", problems=("not-ready",)
        ),
        Operation("GET", "/metrics", do.metrics, "Prometheus text", content_type="text/plain"),
        Operation("GET", "/openapi.json", do.document, "This description", sends="Document"),
        Operation(
            "POST",
            "/v1/reload",
            do.reload,
            "Read the file again",
            sends="ReloadResult",
            problems=("invalid-config",),
        ),
        Operation(
            "POST",
            "/v1/upgrade",
            do.upgrade,
            "Have a new process take the place of this one, without loss",
            sends="Upgraded",
            problems=("upgrade-failed",),
        ),
        Operation(
            "GET",
            "/v1/events",
            do.events,
            "What happened and what happens: Server-Sent Events, an Event as the data of each",
            query=_EVENTS,
            sends="EventMessage",
            content_type="text/event-stream",
        ),
    )


def _that_show(do: Answers) -> tuple[Operation, ...]:
    path = "/v1/services"
    return (
        Operation("GET", path, do.services, "All services", query=_PAGE, sends="Services"),
        Operation("GET", path + "/{name}", do.service, "One service", sends="ServiceView"),
        Operation(
            "GET",
            path + "/{name}/decisions",
            do.decisions,
            "Scaling decisions, newest first",
            query=_NEWEST,
            sends="Decisions",
        ),
        Operation(
            "GET",
            path + "/{name}/explain",
            do.explain,
            "Why it has as many replicas as it has",
            sends="Explanation",
        ),
        Operation(
            "GET",
            path + "/{name}/logs",
            do.logs,
            "Output of its replicas: one LogLine a line; an empty line is a heartbeat",
            query=_LOGS,
            sends="LogLines",
            content_type="application/x-ndjson",
            problems=("unsupported", "runtime-failure"),
        ),
    )


def _that_change(do: Answers) -> tuple[Operation, ...]:
    path = "/v1/services/{name}"
    return (
        Operation(
            "POST",
            path + "/scale",
            do.scale,
            "Keep this many replicas by hand",
            body="ScaleRequest",
            sends="ServiceView",
        ),
        Operation(
            "DELETE",
            path + "/scale",
            do.automatic,
            "Back to automatic scaling",
            sends="ServiceView",
        ),
        Operation(
            "POST",
            path + "/lease",
            do.lease,
            "Keep it from freezing and stopping for a while",
            body="LeaseRequest",
            sends="LeaseView",
        ),
        Operation(
            "DELETE",
            path + "/lease/{id}",
            do.release,
            "Give a lease back",
            sends="LeaseView",
            problems=("unknown-lease",),
        ),
    )


def _that_replace(do: Answers) -> tuple[Operation, ...]:
    """They begin what takes a while, and answer at once."""
    path = "/v1/services/{name}"
    return (
        Operation(
            "POST",
            path + "/restart",
            do.restart,
            "Replace all replicas, without loss",
            sends="ServiceView",
            problems=("not-ours",),
            status=202,
        ),
        Operation(
            "POST",
            path + "/rollback",
            do.rollback,
            "Back to the last revision that was healthy, until the file names another one",
            sends="ServiceView",
            problems=("not-ours", "no-former-revision"),
            status=202,
        ),
        Operation(
            "DELETE",
            path + "/rollback",
            do.release_rollback,
            "Try the revision of the file again",
            sends="ServiceView",
            problems=("not-ours",),
            status=202,
        ),
    )
