"""Tells operators that memory is short: once, however many gateway processes notice."""

import logging

from cluster.events import Events


class Shedding:
    """Who refuses clients now, by name."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._names: set[str] = set()

    def tell(self, sheds: bool, why: str, name: str = "gateway") -> None:
        before = bool(self._names)
        (self._names.add if sheds else self._names.discard)(name)
        if bool(self._names) == before:
            return
        if sheds:
            said = f"memory is short, so clients are refused: {why}"
            self._events.emit("memory-pressure", said, level=logging.WARNING)
        else:
            said = f"memory is no longer short, clients are served again: {why}"
            self._events.emit("memory-pressure-over", said)
