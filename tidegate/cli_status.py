"""`tidegate status`: tables for operators.

On a terminal columns fold to its width; into a pipe each row is one line, whatever its length.
"""

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tidegate.cli_words import Json, age, clean, clock, count, decision_of, rollout_of, state_of
from tidegate.client import AdminClient, Unreachable

# With more services than this, only those in use are shown unless all are asked for.
MANY = 100
_REFRESH = 2.0
_PIPE_WIDTH = 10_000
_COLOURS = {
    "ready": "green",
    "starting": "cyan",
    "scaling up": "cyan",
    "scaling down": "cyan",
    "rolling out": "cyan",
    "restarting": "cyan",
    "rolling back": "yellow",
    "waiting": "yellow",
    "degraded": "yellow",
    "draining": "yellow",
    "stopping": "yellow",
    "unhealthy": "red",
    "ejected": "red",
    "failing": "red",
    "failed": "red",
}


def fetch(client: AdminClient, service: str | None, everything: bool) -> Json:
    """What `show` shows: one service, or a page of them."""
    answer: Json
    if service is not None:
        answer = client.get("v1", "services", service)
        return answer
    if everything:
        answer = client.get("v1", "services")
        return answer
    answer = client.get("v1", "services", limit=MANY)
    if answer["total"] > MANY:
        answer = client.get("v1", "services", used="true")
    return answer


def show(answer: Json) -> None:
    screen = console()
    with screen.capture() as captured:
        screen.print(rendered(answer, datetime.now(UTC)))
    # The padding of the last column is of no use to anybody.
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def watch(load: Callable[[], Json]) -> None:
    """Refreshed until Ctrl-C; goes on when Tidegate is away for a while."""
    screen = console()
    first = rendered(load(), datetime.now(UTC))
    with Live(first, console=screen, auto_refresh=False, screen=screen.is_terminal) as live:
        while True:
            time.sleep(_REFRESH)
            live.update(_refreshed(load), refresh=True)


def repeat(load: Callable[[], Json], show: Callable[[Json], None]) -> None:
    """As `watch`, for a pipe: one after the other."""
    while True:
        show(load())
        time.sleep(_REFRESH)


def rendered(answer: Json, now: datetime) -> RenderableType:
    if "services" in answer:
        return Group(*_overview(answer, now))
    return Group(*_detail(answer, now))


def console() -> Console:
    return Console(
        width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, markup=False
    )


def _refreshed(load: Callable[[], Json]) -> RenderableType:
    try:
        return rendered(load(), datetime.now(UTC))
    except Unreachable as error:
        return Text(f"{error} (trying again)", style="red")


def _overview(answer: Json, now: datetime) -> Iterator[RenderableType]:
    if answer["services"]:
        yield _services(answer["services"], now)
    if hidden := answer["total"] - len(answer["services"]):
        yield Text(f"{hidden:,} more asleep: tidegate status --all")
    elif not answer["services"]:
        yield Text("no services are configured")
    if problems := answer.get("problems"):
        yield Text(
            f"\nthe file was changed but not loaded, {count(len(problems), 'problem')}; "
            "the last good one is in force:",
            style="red",
        )
        yield from (Text(f"  {clean(problem)}") for problem in problems)


def _services(services: list[Json], now: datetime) -> Table:
    table = _table("NAME", "STATE", ">READY", "MODE", ">IN FLIGHT", ">QUEUED", "LAST DECISION")
    for service in services:
        table.add_row(
            service["name"],
            _coloured(state_of(service)),
            f"{service['ready']}/{service['desired']}",
            service["mode"],
            str(service["in_flight"]),
            str(service["queued"]),
            Text(decision_of(service, now), style="red" if service["trouble"] else ""),
        )
    return table


def _detail(service: Json, now: datetime) -> Iterator[RenderableType]:
    state = state_of(service)
    yield Text.assemble((service["name"], "bold"), "  ", _coloured(state))
    for name, value in _facts(service, now):
        yield Text(f"  {name:<10}{value}")
    if service["replicas"]:
        yield Text()
        yield _replicas(service["replicas"], now)


def _facts(service: Json, now: datetime) -> Iterator[tuple[str, str]]:
    scale = f"{service['ready']} ready of {service['desired']} wanted"
    yield "replicas", f"{scale} (from {service['min']} to {service['max']}, {service['mode']})"
    yield "load", f"{service['in_flight']} in flight, {service['queued']} queued"
    if service.get("waits_for"):
        yield "waits for", clean(", ".join(service["waits_for"]))
    if service.get("leases"):
        yield (
            "leases",
            ", ".join(f"{one['id']} until {clock(one['until'])}" for one in service["leases"]),
        )
    yield "hosts", clean(", ".join(service["hosts"]))
    if service["revision"]:
        yield "revision", service["revision"]
    if rollout := rollout_of(service):
        yield "rollout", rollout
    if said := decision_of(service, now):
        yield "trouble" if service["trouble"] else "decision", said


def _replicas(replicas: list[Json], now: datetime) -> Table:
    table = _table("REPLICA", "STATE", "ADDRESS", "REVISION", ">IN FLIGHT", ">AGE", "REASON")
    for replica in replicas:
        table.add_row(
            replica["id"],
            _coloured("ejected" if replica.get("ejected") else replica["state"]),
            replica["address"] or "",
            replica["revision"],
            str(replica["in_flight"]),
            age(replica["started_at"], now),
            clean(replica["reason"]),
        )
    return table


def _table(*columns: str) -> Table:
    """A leading `>` sets a column to the right; only the last one may fold."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=column != columns[-1],
            overflow="fold",
        )
    return table


def _coloured(state: str) -> Text:
    return Text(state, style=_COLOURS.get(state, "dim"))
