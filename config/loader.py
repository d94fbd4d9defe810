"""Reads and checks the configuration file. All that is wrong is said at once.

The one way in: `load` for a file, `parse` for a text. Both give settings that are complete and
consistent, or raise ConfigError with every problem and its line.
"""

import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from config import document
from config.disk import Disk
from config.errors import ConfigError, Finding, Place, Problem, dotted
from config.interpret import Meaning, interpret, runtime_of
from config.location import FILE_NAME, VARIABLE
from config.location import find as find
from config.schema import keys_at
from config.settings import Docker, Settings
from config.wording import UNKNOWN_KEY

LARGEST = 64 << 20  # bytes; a hundred thousand services are 20 MiB


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a file. Raises ConfigError."""
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) > LARGEST:
            message = f"is larger than {LARGEST >> 20} MiB: is it the right file?"
            raise ConfigError([Problem(path, None, "", message)])
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        message = f"there is no such file: name one with --config FILE or {VARIABLE}"
        raise ConfigError([Problem(path, None, "", message)]) from None
    except IsADirectoryError:
        message = f"is a directory: name the file in it, such as {path / FILE_NAME}"
        raise ConfigError([Problem(path, None, "", message)]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(path, line, "", "is not UTF-8 text")]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([Problem(path, None, "", f"cannot be read: {reason}")]) from None
    return parse(text, path, environ)


def parse(text: str, file: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a text that stands in `file`, which need not exist. Raises ConfigError."""
    try:
        read = document.read(text)
    except document.Unreadable as error:
        raise ConfigError([Problem(file, error.line, "", error.message)]) from None
    disk = Disk(file.parent)
    meaning = interpret(read.value, disk)
    problems = [
        *(Problem(file, line, dotted(flaw.place), flaw.message) for line, flaw in read.flaws),
        *_located(meaning.findings, text, file),
    ]
    if problems:
        raise ConfigError(_sorted(problems))
    settings = _settings(meaning, file, disk, environ)
    warnings = _located(meaning.warnings, text, file, is_warning=True)
    return settings.model_copy(update={"warnings": _lines(warnings)})


def default_owner(file: Path) -> str:
    """The folder's name and a short hash of the file's whole path: two files never share one."""
    path = file.absolute()
    name = re.sub(r"[^a-z0-9]+", "-", path.parent.name.lower()).strip("-")[:48].strip("-")
    return f"{name or 'tidegate'}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:6]}"


def default_state_dir(owner: str, environ: Mapping[str, str]) -> str:
    """Where state is kept: in the folder that a unit's StateDirectory names, or by the XDG base
    directory specification. A relative one is ignored."""
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if os.path.isabs(given):
        return os.path.join(given, owner)
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = environ.get("HOME") or os.path.expanduser("~")
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "tidegate", owner)


def _settings(meaning: Meaning, file: Path, disk: Disk, environ: Mapping[str, str]) -> Settings:
    written = meaning.file
    owner = written.owner or default_owner(file)
    token = written.admin.token_file
    admin = written.admin
    if token:
        admin = admin.model_copy(update={"token_file": disk.resolve(token)})
    state_dir = written.state_dir
    return Settings(
        owner=owner,
        state_dir=disk.resolve(state_dir) if state_dir else default_state_dir(owner, environ),
        orphan_timeout=written.orphan_timeout,
        gateway=disk.settle_gateway(written.gateway),
        admin=admin,
        runtime=runtime_of(written.runtime),
        docker=written.runtime.docker or Docker(),
        host=written.host,
        recording=written.recording,
        services=meaning.services,
    )


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    """In the order of the file, none twice."""
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0)


def _lines(problems: Iterable[Problem]) -> tuple[str, ...]:
    return tuple(map(str, _sorted(problems)))


def _located(
    findings: Iterable[Finding], text: str, file: Path, *, is_warning: bool = False
) -> Iterable[Problem]:
    found = list(findings)
    if not found:
        return
    lines = document.lines(text)
    for finding in found:
        message = finding.message
        if message == UNKNOWN_KEY:
            message = _unknown(finding.place)
        line = _line(finding.place, lines)
        yield Problem(file, line, dotted(finding.place), message, is_warning)


def _line(place: Place, lines: Mapping[Place, int]) -> int:
    """Where it stands; for what is missing or came by an alias, where its parent does."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _unknown(place: Place) -> str:
    key = str(place[-1])
    close = difflib.get_close_matches(key, keys_at(place[:-1]), n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    return f'unknown key "{key}"{hint}'
