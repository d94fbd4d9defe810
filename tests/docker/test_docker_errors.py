"""The engine's words, as 20.10 and Podman's compatible service say them, and what they mean."""

import errno

import pytest

from runtimes.docker_errors import failure_of, message_of, unreachable

PORT = (
    "driver failed programming external connectivity on endpoint x (1acb): "
    "Bind for 127.0.0.1:18089 failed: port is already allocated"
)
MISSING = 'runc create failed: exec: "nope": executable file not found in $PATH: unknown'
BIND = 'invalid mount config for type "bind": bind source path does not exist: /x'

# (call, status, the engine's words, code, transient)
WORDS = [
    ("create", 404, "No such image: web:1", "image-missing", False),
    ("create", 404, "no such image: web:1: image not known", "image-missing", False),
    ("create", 400, BIND, "bad-workload", False),
    ("create", 500, BIND, "bad-workload", False),
    ("create", 400, "Minimum memory limit allowed is 6MB", "bad-workload", False),
    ("start", 404, "network nope not found", "bad-workload", False),
    ("start", 400, MISSING, "start-failed", False),
    ("start", 500, PORT, "port-in-use", True),
    ("start", 500, "listen tcp4 0.0.0.0:80: bind: address already in use", "port-in-use", True),
    ("start", 500, "no space left on device", "start-failed", True),
    ("pause", 404, "No such container: x", "unknown-instance", False),
    ("pause", 409, "Container x is not running", "unknown-instance", False),
    ("unpause", 500, "cannot resume a stopped container: unknown", "unknown-instance", False),
    ("exec", 409, "Container x is paused, unpause the container before exec", "unsupported", True),
    ("start", 500, "transport is closing: unavailable", "engine-unavailable", True),
    (
        "start",
        500,
        "failed to update store for object type *libnetwork.endpoint: open : no such file",
        "engine-unavailable",
        True,
    ),
    ("list", 500, "", "engine-unavailable", True),
    ("create", 403, "forbidden", "engine-unavailable", False),
]


@pytest.mark.parametrize(("call", "status", "words", "code", "transient"), WORDS)
def test_the_engines_words_become_a_code(
    call: str, status: int, words: str, code: str, transient: bool
) -> None:
    failure = failure_of(call, status, words, "web:1")
    assert (failure.code, failure.transient) == (code, transient)


def test_a_missing_image_comes_with_what_to_do() -> None:
    message = failure_of("create", 404, "No such image: web:1", "web:1").message
    assert message == (
        'image "web:1" is not on this engine; build it there, or pull it: docker pull web:1'
    )


def test_an_empty_answer_is_told_by_its_status() -> None:
    assert "status 500" in failure_of("list", 500, " ").message


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "usermod -aG docker"),
        (errno.ENOENT, "start Docker"),
        (errno.ECONNREFUSED, "start Docker"),
        (errno.EHOSTUNREACH, "set runtime.docker.url"),
    ],
)
def test_no_connection_comes_with_what_to_do(number: int, remedy: str) -> None:
    error = RuntimeError("no connection")
    error.__context__ = OSError(number, "whatever")
    failure = unreachable("unix:///run/docker.sock", error)
    assert (failure.code, failure.transient) == ("engine-unavailable", True)
    assert "unix:///run/docker.sock" in failure.message
    assert remedy in failure.message


def test_an_error_answer_is_read_whatever_its_type() -> None:
    assert message_of('{"message": "no"}') == "no"
    assert message_of("plain words") == "plain words"
    assert message_of("[1]") == "[1]"
