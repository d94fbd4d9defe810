"""How log lines look: one line each, for people as text, for programs as JSON.

Whatever a message carries in `extra` becomes a field; control characters never reach the terminal.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson

from tidegate.unblocked import UnblockedHandler

Format = Literal["text", "json"]
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# For programs: the message says the same in words.
_SAID = ("kind", "service", "replica", "listen", "admin")
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


def configure(style: Format, level: str) -> None:
    """Write log lines of ours and of our libraries to standard error, if there is one."""
    stream = UnblockedHandler(sys.stderr.fileno()) if sys.stderr else logging.NullHandler()
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
        message = record.getMessage().translate(_CONTROLS)
        fields = "".join(
            f" {name}={value}" for name, value in fields_of(record).items() if name not in _SAID
        )
        line = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {record.levelname.lower()} {message}"
        return _with_trace(self, record, line + fields.translate(_CONTROLS))


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            facts["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(facts, default=str).decode()


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and value is not None
    }


def _with_trace(style: logging.Formatter, record: logging.LogRecord, line: str) -> str:
    return f"{line}\n{style.formatException(record.exc_info)}" if record.exc_info else line
