"""The files of `env_file`: NAME=VALUE lines, as Docker Compose reads them.

Pure. Blank lines and # comments are left out, `export` before a name too. In single quotes all
is literal, in double quotes \\n \\r \\t \\" \\\\ are escapes, and both may go over several lines.
Nothing is substituted: a $ is a $.
"""

import re

_ENTRY = re.compile(
    r"""
    [ \t]* (?:export[ \t]+)? (?P<name>[A-Za-z_][A-Za-z0-9_.-]*) [ \t]* = [ \t]*
    (?: '(?P<single>(?:[^'\\]|\\.)*)' (?P<after_single>[^\n]*)
      | "(?P<double>(?:[^"\\]|\\.)*)" (?P<after_double>[^\n]*)
      | (?P<plain>[^'"\n][^\n]*|) )
    (?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_SKIPPED = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_COMMENT = re.compile(r"[ \t]*(?:[ \t]#.*)?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


class BadEntry(ValueError):
    """A line that is no entry. It may hold a secret and is not repeated."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def parse(text: str) -> dict[str, str]:
    """The variables in their order; of a name twice the last one wins. Raises BadEntry."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if skipped := _SKIPPED.match(text, at):
            at = skipped.end()
            continue
        entry = _ENTRY.match(text, at)
        line = text.count("\n", 0, at) + 1
        if entry is None:
            raise BadEntry(line, _wrong(text[at:].partition("\n")[0]))
        found[entry["name"]] = _value(entry, line)
        at = entry.end()
    return found


def _value(entry: "re.Match[str]", line: int) -> str:
    after = entry["after_single"] or entry["after_double"] or ""
    if not _COMMENT.fullmatch(after):
        raise BadEntry(line, "has text after the closing quote")
    if entry["single"] is not None:
        return entry["single"].replace("\\'", "'")
    if entry["double"] is not None:
        return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), entry["double"])
    return re.split(r"(?:^|[ \t])#", entry["plain"], maxsplit=1)[0].strip()


def _wrong(line: str) -> str:
    name, equals, value = line.partition("=")
    if equals and value.lstrip()[:1] in ("'", '"') and name.strip():
        return "has a quote that is never closed"
    return "must be NAME=VALUE"
