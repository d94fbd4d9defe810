"""The commands that replace what runs: `restart` and `rollback`."""

from typing import Annotated

import typer

from tidegate.cli_options import Admin, AsJson, Config, ServiceName, TokenFile
from tidegate.cli_print import print_json
from tidegate.cli_remote import connect
from tidegate.cli_words import Json, count


def restart(
    service: ServiceName,
    admin: Admin = None,
    token_file: TokenFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Replace all replicas of a service, each before the old one leaves. No request is lost."""
    answer = connect(admin, token_file, config).post("v1", "services", service, "restart")
    if as_json:
        print_json(answer)
        return
    present = len(answer["replicas"])
    if not present:
        typer.echo(f"{service}: nothing runs, so there is nothing to restart")
        return
    typer.echo(f"{service}: {count(present, 'replica')} will be replaced; {_follow(service)}")


def rollback(
    service: ServiceName,
    undo: Annotated[
        bool, typer.Option("--undo", help="Try the revision of the file again.")
    ] = False,
    admin: Admin = None,
    token_file: TokenFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the last revision that was healthy, until the file names another one."""
    client = connect(admin, token_file, config)
    path = ("v1", "services", service, "rollback")
    answer: Json = client.delete(*path) if undo else client.post(*path)
    if as_json:
        print_json(answer)
    elif undo:
        typer.echo(f"{service}: revision {answer['revision']} of the file; {_follow(service)}")
    else:
        back = f"{service}: back to revision {answer['revision']}, until the file names another one"
        typer.echo(f"{back}; {_follow(service)}")


def _follow(service: str) -> str:
    return f"to follow it: tidegate status {service} --watch"
