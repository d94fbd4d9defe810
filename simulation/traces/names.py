"""Names of services from whatever a trace calls them: DNS labels, each its own.

Pure.
"""

import re
from collections.abc import Callable, Iterable

_LONGEST = 63
_SHORTEST = 6  # characters of a hash: enough to be found again in the trace


def label(text: str) -> str:
    """A-Z become a-z, all else than a-z and 0-9 becomes one dash; at most 63 characters."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST].strip("-")
    return plain or "unnamed"


def unique(texts: Iterable[str]) -> list[str]:
    """A label for each text, in order; the second of one label gets `-2` and so on."""
    taken: set[str] = set()
    names = []
    for text in texts:
        name, number = label(text), 1
        while name in taken:
            number += 1
            end = f"-{number}"
            name = f"{label(text)[: _LONGEST - len(end)].rstrip('-')}{end}"
        taken.add(name)
        names.append(name)
    return names


def shortened(hashes: Iterable[str]) -> Callable[[str], str]:
    """Cuts each of these to the least length, of six or more, at which no two are the same."""
    known = set(hashes)
    longest = max(map(len, known), default=0)
    length = _SHORTEST
    while length < longest and len({each[:length] for each in known}) < len(known):
        length += 1
    return lambda text: text[:length]


def by_text() -> Callable[[str], str]:
    """Gives each text one label of its own, the same each time it comes."""
    names: dict[str, str] = {}
    taken: set[str] = set()

    def name(text: str) -> str:
        if text not in names:
            names[text] = unique([*taken, text])[-1]
            taken.add(names[text])
        return names[text]

    return name
