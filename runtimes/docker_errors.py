"""The engine's errors in the words of the runtime port.

Pure. An engine names what went wrong only in its prose. What is matched here was read off an
engine 20.10; other words end as the general code of the call, never as a crash.
"""

import contextlib
import errno
import re
from collections.abc import Iterator

import orjson

from cluster.runtime import RuntimeFailure

# aiodocker's status for "no connection at all".
NO_CONNECTION = 900

# That there is nothing left to do, in the engine's words or in those of the shim below it. The
# engine's own belief lags while it works off older events of the container (a HEALTHCHECK's, say):
# it then passes on what the shim, which knows, refuses.
IS_PAUSED = re.compile(r"is already paused|cannot pause a paused container", re.IGNORECASE)
IS_NOT_PAUSED = re.compile(r"is not paused|cannot resume a running process", re.IGNORECASE)
IS_BEING_REMOVED = re.compile(r"is already in progress", re.IGNORECASE)

_NO_IMAGE = re.compile(r"no such image:? *(?P<name>[^\s:]\S*)?", re.IGNORECASE)
_PORT_TAKEN = re.compile(
    r"port is already allocated|address already in use|ports are not available", re.IGNORECASE
)
_BAD_WORKLOAD = re.compile(
    r"network \S+ not found|invalid mount config|bind source path does not exist"
    r"|error while creating mount source path|not a directory"
    r"|Range of CPUs|NanoCPUs can not be set|Minimum memory limit"
    r"|get \S+: no such volume",
    re.IGNORECASE,
)
# What an engine says of itself while it is stopped or starts: that is no fault of the workload.
_NOT_WELL = re.compile(
    r"transport is closing|error while dialing|: unavailable$|failed to update store"
    r"|context canceled|cannot connect to containerd|shutting down",
    re.IGNORECASE,
)
_NO_CONTAINER = re.compile(r"no such (?:container|exec)", re.IGNORECASE)
_NOT_RUNNING = re.compile(
    r"is not running|is restarting|cannot (?:pause|resume) a (?:stopped|deleted)", re.IGNORECASE
)
_FROZEN = re.compile(r"is paused", re.IGNORECASE)


def message_of(body: str) -> str:
    """The prose of an error answer: its JSON's message, or whatever it is, cut short."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(orjson.loads(body)["message"])[:1000]
    return body[:1000]


def failure_of(call: str, status: int, words: str, image: str | None = None) -> RuntimeFailure:
    """What an error answer of the engine to a call means. `image` is the one that was asked for."""
    words = words.strip() or f"status {status}"
    if status in (401, 403):
        return RuntimeFailure(
            "engine-unavailable",
            f"the Docker engine, or a proxy before it, forbids it ({call}): {words}",
        )
    if _NO_IMAGE.search(words):
        return _image_missing(image or words.rpartition(" ")[2])
    if _PORT_TAKEN.search(words):
        return RuntimeFailure("port-in-use", words, transient=True)
    if _BAD_WORKLOAD.search(words) or (call == "create" and status == 400):
        return RuntimeFailure("bad-workload", words)
    if call in ("create", "start") and not (status >= 500 and _NOT_WELL.search(words)):
        return RuntimeFailure("start-failed", words, transient=status >= 500 or status == 409)
    if _NO_CONTAINER.search(words) or _NOT_RUNNING.search(words):
        return RuntimeFailure("unknown-instance", words)
    if _FROZEN.search(words):
        return RuntimeFailure("unsupported", words, transient=True)
    return RuntimeFailure(
        "engine-unavailable", f"the Docker engine failed ({call}): {words}", transient=True
    )


def _image_missing(image: str) -> RuntimeFailure:
    return RuntimeFailure(
        "image-missing",
        f'image "{image}" is not on this engine; build it there, or pull it: docker pull {image}',
    )


def unreachable(engine: str, error: BaseException) -> RuntimeFailure:
    """No connection, or one that broke: with what to do about it."""
    return RuntimeFailure(
        "engine-unavailable",
        f"no Docker engine at {engine}: {_remedy(error)}",
        transient=True,
    )


def silent(engine: str, call: str, timeout: float) -> RuntimeFailure:
    return RuntimeFailure(
        "engine-unavailable",
        f"the Docker engine at {engine} did not answer ({call}) within {timeout:g} s; "
        "if that lasts, look at its log or restart it",
        transient=True,
    )


def garbled(engine: str, call: str, error: BaseException) -> RuntimeFailure:
    return RuntimeFailure(
        "engine-unavailable",
        f"what answers at {engine} does not speak as a Docker engine does ({call}: {error})",
        transient=True,
    )


def _remedy(error: BaseException) -> str:
    match _errno(error):
        case errno.EACCES | errno.EPERM:
            return (
                "permission denied; add the user who runs Tidegate to the group of the socket "
                "(usermod -aG docker USER, then log in again)"
            )
        case errno.ENOENT:
            return "there is no such socket; start Docker, or set runtime.docker.url"
        case errno.ECONNREFUSED:
            return "nobody listens there; start Docker, or set runtime.docker.url"
        case _:
            return f"{error}; start Docker, or set runtime.docker.url"


def _errno(error: BaseException) -> int | None:
    return next((e.errno for e in _causes(error) if isinstance(e, OSError) and e.errno), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
