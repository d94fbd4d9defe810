"""`tidegate events` and `tidegate logs`: streams of the API as lines for people, or untouched."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tidegate.cli_words import Json, clean, clock

_DATA = "data: "


class StreamFailed(Exception):
    """The stream ended with an error; the text is the server's."""


def events_of(lines: Iterable[str]) -> Iterator[Json]:
    """The events of a text/event-stream whose data is one line each."""
    for line in lines:
        if line.startswith(_DATA):
            yield json.loads(line.removeprefix(_DATA))


def event_line(event: Json) -> str:
    return f"{clock(event['at'])}  {event['kind']:<18}  {clean(event['message'])}"


def log_lines_of(lines: Iterable[str]) -> Iterator[Json]:
    """Raises StreamFailed when the stream says that it cannot go on."""
    for line in lines:
        if not line:
            continue  # a heartbeat
        item: dict[str, Any] = json.loads(line)
        if error := item.get("error"):
            raise StreamFailed(str(error["message"]))
        yield item


def log_line(line: Json) -> str:
    """The text as the replica wrote it, colours included, behind the replica's name."""
    return f"{line['replica']} | {line['text']}"
