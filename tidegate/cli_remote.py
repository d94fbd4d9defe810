"""The commands that talk to a running Tidegate."""

import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer

from tidegate.cli_options import Follow, ServiceName
from tidegate.cli_print import print_json, print_problems
from tidegate.cli_running import Running
from tidegate.cli_target import WrongUse
from tidegate.cli_words import clock, count, moment_in_words, reload_in_words
from tidegate.client import AdminClient, Refused, Unreachable

WRONG_CONFIG = 2


class NotKnown(Exception):
    """Tidegate runs, but what was asked for is not there."""


def status(
    service: Annotated[str | None, typer.Argument(show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those asleep, where there are very many.")
    ] = False,
    *,
    running: Running,
) -> None:
    """Show services, replicas, load and the last decision."""
    from tidegate import cli_status

    client = running.connect()
    # Programs get everything: what is worth a line is for them to say.
    load = partial(cli_status.fetch, client, service, everything or running.as_json)
    show = print_json if running.as_json else cli_status.show
    if not watch:
        show(load())
        return
    with _until_interrupted():
        if running.as_json or not sys.stdout.isatty():
            cli_status.repeat(load, show)
        else:
            cli_status.watch(load)


def explain(
    service: ServiceName,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help='As 14:05, "10m ago" or 2026-11-23T14:05:00.'),
    ] = None,
    *,
    running: Running,
) -> None:
    """Tell why a service has as many replicas as it has, or had at a time of the past."""
    from tidegate.cli_explain import past_story, story

    now = datetime.now(UTC)
    moment = _moment(at, now) if at is not None else None
    client = running.connect()
    if moment is None:
        told = client.get("v1", "services", service, "explain")
        lines = story(told, now)
    else:
        told = _decision_at(client, service, moment)
        lines = past_story(service, told, now)
    running.show(told, "\n".join(lines))


def scale(
    service: ServiceName,
    replicas: Annotated[str, typer.Argument(metavar="N|auto", show_default=False)],
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Such as 10m; then automatic.")
    ] = None,
    *,
    running: Running,
) -> None:
    """Set the number of replicas by hand, or go back to automatic scaling."""
    path = ("v1", "services", service, "scale")
    wish = _wish(replicas, duration)
    client = running.connect()
    answer = client.post(*path, body=wish) if wish else client.delete(*path)
    how = "scaled automatically"
    if wish:
        end = f"for {duration}" if duration else f"until `tidegate scale {service} auto`"
        how = f"{count(wish['replicas'], 'replica')} by hand, {end}"
    running.show(answer, f"{service}: {how}")


def lease(
    service: ServiceName,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Such as 10m; at most 24h.")
    ] = None,
    wake: Annotated[bool, typer.Option("--wake", help="Also wake it when it sleeps.")] = False,
    release: Annotated[
        str | None, typer.Option("--release", metavar="ID", help="Give a lease back.")
    ] = None,
    *,
    running: Running,
) -> None:
    """Keep a service from freezing and stopping for a while."""
    if (duration is None) is (release is None) or (release is not None and wake):
        raise WrongUse("say how long with --for, or give a lease back with --release")
    client = running.connect()
    path = ("v1", "services", service, "lease")
    if release is not None:
        answer = client.delete(*path, release)
        text = f"gave back the lease {answer['id']}"
    else:
        answer = client.post(*path, body={"for": duration, "wake": wake})
        end = f"tidegate lease {service} --release {answer['id']}"
        text = f"leased until {clock(answer['until'])}; to end it before: {end}"
    running.show(answer, f"{service}: {text}")


def reload(running: Running) -> None:
    """Read the configuration file again. A wrong one changes nothing; exit code 2."""
    client = running.connect(timeout=60.0)
    try:
        result = client.post("v1", "reload")
    except Refused as error:
        if error.code != "invalid-config":
            raise
        print_problems(error.problems, running.as_json)
        raise typer.Exit(WRONG_CONFIG) from None
    running.show(result, "\n".join(reload_in_words(result)))


def upgrade(running: Running) -> None:
    """Put a new process, with the code and the file of now, in place of the running one."""
    answer = running.connect(timeout=300.0).post("v1", "upgrade")
    running.show(answer, f"process {answer['pid']} has taken over; no connection was refused")


def events(
    service: Annotated[str | None, typer.Argument(show_default=False)] = None,
    follow: Follow = False,
    *,
    running: Running,
) -> None:
    """Show what happened, the newest last."""
    from tidegate.cli_follow import event_line, events_of

    query: dict[str, str | int] = {"follow": str(follow).lower()}
    if service is not None:
        query["service"] = service
    client = running.connect()
    with _until_interrupted():
        for event in events_of(client.lines("v1", "events", **query)):
            running.show(event, event_line(event))
        if follow:
            raise Unreachable(f"Tidegate at {client.url} has stopped")


def logs(
    service: ServiceName,
    follow: Follow = False,
    tail: Annotated[int, typer.Option(min=0, help="Last lines of each replica.")] = 100,
    *,
    running: Running,
) -> None:
    """Show the output of the replicas of a service."""
    from tidegate.cli_follow import log_line, log_lines_of

    query: dict[str, str | int] = {"follow": str(follow).lower(), "tail": tail}
    lines = running.connect().lines("v1", "services", service, "logs", **query)
    with _until_interrupted():
        for line in log_lines_of(lines):
            running.show(line, log_line(line))


def _moment(text: str, now: datetime) -> datetime:
    from tidegate.cli_time import moment_of

    try:
        return moment_of(text, now)
    except ValueError as error:
        raise WrongUse(f"--at: {error}") from None


def _decision_at(client: AdminClient, service: str, at: datetime) -> Any:
    """The one that was in force then. Raises NotKnown."""
    path = ("v1", "services", service, "decisions")
    if found := client.get(*path, limit=1, at=at.isoformat())["decisions"]:
        return found[0]
    known = client.get(*path, limit=10_000)["decisions"]
    if not known:
        raise NotKnown(f"nothing was ever decided about {service}")
    oldest = moment_in_words(known[-1]["at"])
    raise NotKnown(f"no decision about {service} is known from before {oldest}")


def _wish(replicas: str, duration: str | None) -> dict[str, Any] | None:
    """The body of the request; None is automatic."""
    if replicas == "auto":
        if duration is not None:
            raise WrongUse("`auto` has no end: leave out --for")
        return None
    if not (replicas.isascii() and replicas.isdigit()):
        raise WrongUse(f'N must be a whole number or `auto`, got "{replicas}"')
    return {"replicas": int(replicas)} | ({"for": duration} if duration is not None else {})


@contextlib.contextmanager
def _until_interrupted() -> Iterator[None]:
    """Ctrl-C is how following ends: nothing failed."""
    with contextlib.suppress(KeyboardInterrupt):
        yield
