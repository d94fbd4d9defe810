"""What the gateway answers itself, without a replica: refusals, unknown routes, last stops.

A request that breaks the rules is answered and the connection closed, because nobody can know where
the next one begins (RFC 9112 §9.2, §11.2).
"""

from typing import TYPE_CHECKING

from gateway import hops, problems
from gateway.access_log import Entry
from gateway.fields import Malformed
from gateway.head import Request, wants_html
from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.downstream import Downstream


def write_problem(
    client: "Downstream", problem: Problem, request: Request | None, *, head: bool = False
) -> None:
    """`head`: it answers HEAD although there is no `request`."""
    if not client.may_stay():
        client.keep_alive = False
    client.transport.write(
        problems.render(
            problem,
            date=client.context.date,
            html_wanted=request is not None and wants_html(request.raw),
            close=not client.keep_alive,
            head=head or (request is not None and request.method == b"HEAD"),
        )
    )


def no_route(client: "Downstream", request: Request, now: float) -> None:
    count(client, problems.NO_ROUTE.status, request)
    write_problem(client, problems.NO_ROUTE, request)
    client.done(now)


def last_stop(client: "Downstream", request: Request, now: float) -> None:
    """The request may not be sent on (RFC 9110 §7.6.2)."""
    count(client, 200, request)
    if not client.may_stay():
        client.keep_alive = False
    date = client.context.date
    client.transport.write(hops.answer(request, date=date, close=not client.keep_alive))
    client.done(now)


def refuse(client: "Downstream", malformed: Malformed, *, head: bool) -> None:
    problem = Problem(malformed.status, malformed.code, malformed.detail)
    _refuse(client, problem, head=head)


def head_is_late(client: "Downstream") -> None:
    is_shed = client.context.crowd.is_shedding
    _refuse(client, problems.MEMORY_PRESSURE if is_shed else problems.HEAD_TIMEOUT, head=False)


def _refuse(client: "Downstream", problem: Problem, *, head: bool) -> None:
    count(client, problem.status, None)
    client.keep_alive = False
    write_problem(client, problem, None, head=head)
    client.linger()


def turn_away(client: "Downstream", problem: Problem) -> None:
    """Without having read anything. A descriptor is not held for politeness."""
    client.context.unrouted[problem.status] += 1
    client.keep_alive = False
    write_problem(client, problem, None)
    if problem is problems.NO_DESCRIPTOR:
        client.close()
    else:
        client.linger()


def count(client: "Downstream", status: int, request: Request | None) -> None:
    """It belongs to no service."""
    context = client.context
    context.unrouted[status] += 1
    if context.access_log is not None:
        context.access_log(
            Entry(
                client=client.peer.ip.decode(),
                method=request.method if request else b"-",
                target=request.target if request else b"-",
                minor=request.minor if request else 1,
                head=request.raw if request else b"",
                status=status,
                sent=0,
                duration=0.0,
                service="",
                replica="",
                request_id="",
            )
        )
