"""The commands that replace what runs: `restart` and `rollback`."""

from typing import Annotated

import typer

from tidegate.cli_options import ServiceName
from tidegate.cli_running import Running
from tidegate.cli_words import Json, count


def restart(service: ServiceName, running: Running) -> None:
    """Replace all replicas of a service, each before the old one leaves. No request is lost."""
    answer = running.connect().post("v1", "services", service, "restart")
    text = "nothing runs, so there is nothing to restart"
    if present := len(answer["replicas"]):
        text = f"{count(present, 'replica')} will be replaced; {_follow(service)}"
    running.show(answer, f"{service}: {text}")


def rollback(
    service: ServiceName,
    undo: Annotated[
        bool, typer.Option("--undo", help="Try the revision of the file again.")
    ] = False,
    *,
    running: Running,
) -> None:
    """Go back to the last revision that was healthy, until the file names another one."""
    client = running.connect()
    path = ("v1", "services", service, "rollback")
    answer: Json = client.delete(*path) if undo else client.post(*path)
    what = f"revision {answer['revision']} of the file"
    if not undo:
        what = f"back to revision {answer['revision']}, until the file names another one"
    running.show(answer, f"{service}: {what}; {_follow(service)}")


def _follow(service: str) -> str:
    return f"to follow it: tidegate status {service} --watch"
