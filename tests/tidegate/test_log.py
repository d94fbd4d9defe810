"""One line for each record, whatever it carries."""

import logging

import orjson
import pytest

from tidegate.log import JsonLines, TextLines


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("tidegate.test").makeRecord(
        "tidegate.test", logging.WARNING, __file__, 1, message, (), None, extra=extra
    )
    made.created = 0.25
    return made


def test_text_is_for_people() -> None:
    line = TextLines().format(record("web failed", service="web", attempts=3))
    assert line.endswith(".250 warning web failed attempts=3")


def test_json_is_for_programs() -> None:
    line = JsonLines().format(record("web failed", service="web", replica=None))
    assert orjson.loads(line) == {
        "at": "1970-01-01T00:00:00.250000+00:00",
        "level": "warning",
        "logger": "tidegate.test",
        "message": "web failed",
        "service": "web",
    }


@pytest.mark.parametrize("style", [TextLines(), JsonLines()])
def test_nothing_forges_a_line_or_reaches_the_terminal(style: logging.Formatter) -> None:
    line = style.format(record("a\nb\r\x1b[31mc", detail="x\ny"))
    assert not set(line) & {"\n", "\r", "\x1b"}


@pytest.mark.parametrize("style", [TextLines(), JsonLines()])
def test_a_trace_is_kept(style: logging.Formatter) -> None:
    try:
        raise ValueError("broken inside")
    except ValueError as error:
        failed = record("it failed")
        failed.exc_info = (ValueError, error, error.__traceback__)
    assert "broken inside" in style.format(failed)
