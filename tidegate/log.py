"""How log lines look: one line each, for people as text, for programs as JSON.

Whatever a message carries in `extra` becomes a field; control characters never reach the terminal.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson

from config.printable import printable
from tidegate.unblocked import UnblockedStream

Format = Literal["text", "json"]
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# For programs: the message says the same in words.
_SAID = ("kind", "service", "replica", "listen", "admin")
_LONGEST = 16_000  # characters of a message, and of one field
# What JSON lets through and a terminal or a reader of lines may act on: C1, ends of lines of
# Unicode, and what turns the direction of text.
_CONTROLS = {
    code: f"\\u{code:04x}"
    for code in (
        *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF
    )
}  # fmt: skip


def configure(style: Format, level: str) -> None:
    """Write log lines of ours and of our libraries to standard error, if there is one."""
    stream = UnblockedStream(sys.stderr.fileno()) if sys.stderr else logging.NullHandler()
    stream.setFormatter(JsonLines() if style == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[stream], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def flush() -> None:
    """What nobody took so far is offered again."""
    for handler in logging.getLogger().handlers:
        handler.flush()


class TextLines(logging.Formatter):
    """`12:30:01.250 warning web-7f3 failed: exited with code 1`"""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        words = [record.levelname.lower(), record.getMessage()]
        words += [
            f"{name}={value}" for name, value in fields_of(record).items() if name not in _SAID
        ]
        line = " ".join(printable(_short(word)) for word in words)
        stamp = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"
        return _with_trace(self, record, f"{stamp} {line}")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _short(record.getMessage()),
            **fields_of(record),
        }
        if record.exc_info:
            facts["trace"] = self.formatException(record.exc_info)
        return _json(facts).translate(_CONTROLS)


def _json(facts: dict[str, object]) -> str:
    try:
        return orjson.dumps(facts, default=str).decode()
    except orjson.JSONEncodeError:
        # Half of a character, as in the name of a file that is no UTF-8.
        return orjson.dumps({name: _text(value) for name, value in facts.items()}).decode()


def _text(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and value is not None
    }


def _with_trace(style: logging.Formatter, record: logging.LogRecord, line: str) -> str:
    if not record.exc_info:
        return line
    trace = style.formatException(record.exc_info).split("\n")
    return "\n".join((line, *map(printable, trace)))
