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


# C1 has a CSI of one byte; U+2028 ends a line; U+202E turns the direction of what follows.
NASTY = "\n\r\x00\x1b\x7f\x85\x9b\u2028\u2029\u202e\u2066\ufeff"


@pytest.mark.parametrize("style", [TextLines(), JsonLines()])
@pytest.mark.parametrize("place", ["message", "field"])
def test_no_character_that_a_terminal_acts_on_is_let_through(
    style: logging.Formatter, place: str
) -> None:
    text = f'a" {NASTY} "b'
    made = record(text) if place == "message" else record("it", detail=text)
    line = style.format(made)
    assert not set(line) & set(NASTY)
    assert "b" in line
    if isinstance(style, JsonLines):
        assert text in orjson.loads(line).values()


@pytest.mark.parametrize("style", [TextLines(), JsonLines()])
@pytest.mark.parametrize("place", ["message", "field"])
def test_half_a_character_is_no_reason_to_lose_the_line(
    style: logging.Formatter, place: str
) -> None:
    """As in the name of a file that is no UTF-8 (PEP 383)."""
    text = "a\udcffb"
    line = style.format(record(text) if place == "message" else record("it", detail=text))
    assert "a\\udcffb" in line.replace("\\\\", "\\")
    line.encode()


@pytest.mark.parametrize("style", [TextLines(), JsonLines()])
def test_a_message_without_end_is_cut(style: logging.Formatter) -> None:
    assert len(style.format(record("x" * 10_000_000))) < 20_000


def test_a_trace_forges_no_line_of_its_own_and_drives_no_terminal() -> None:
    try:
        raise ValueError("broken \x1b[2J \x9b inside")
    except ValueError as error:
        failed = record("it failed")
        failed.exc_info = (ValueError, error, error.__traceback__)
    assert not set(TextLines().format(failed)) & {"\x1b", "\x9b"}


@pytest.mark.parametrize("style", [TextLines(), JsonLines()])
def test_a_trace_is_kept(style: logging.Formatter) -> None:
    try:
        raise ValueError("broken inside")
    except ValueError as error:
        failed = record("it failed")
        failed.exc_info = (ValueError, error, error.__traceback__)
    assert "broken inside" in style.format(failed)
