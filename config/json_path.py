"""Where a value is in a JSON document: `queue.length`, `jobs[0].count`, `$` for the whole.

Pure. A path may begin with `$`, as in JSONPath (RFC 9535), of which it is a part. A name has no
dots, brackets, quotes or spaces; any other key is written `["such a key"]`.
"""

import json
import re

from config.wording import shown

Step = str | int
WHOLE = "$"

_NAME = r'(?P<name>[^.\[\]"\s]+)'
_BRACKETS = r'\[(?P<index>[0-9]{1,9})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]'
_ROOTED = re.compile(r"\$(?=[.\[]|\Z)")
_FIRST = re.compile(rf"{_NAME}|{_BRACKETS}")
_NEXT = re.compile(rf"\.{_NAME}|{_BRACKETS}")


def json_path(text: str) -> str:
    """The text, if it is a path. Raises ValueError with what to write."""
    steps_of(text)
    return text


def steps_of(path: str) -> tuple[Step, ...]:
    """Keys and indices from the top of the document. Raises ValueError."""
    steps: list[Step] = []
    at = len(WHOLE) if _ROOTED.match(path) else 0
    while at < len(path):
        match = (_NEXT if at else _FIRST).match(path, at)
        if match is None:
            raise ValueError(_wrong(path, at))
        steps.append(_step(match, path))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str], path: str) -> Step:
    if match["index"] is not None:
        return int(match["index"])
    if match["quoted"] is None:
        return match["name"]
    try:
        return str(json.loads(match["quoted"]))
    except ValueError:
        raise ValueError(_wrong(path, match.start())) from None


def _wrong(path: str, at: int) -> str:
    return (
        f"must be a path such as queue.length or jobs[0].count, got {shown(path)}: "
        f"cannot read {shown(path[at:])}"
    )
