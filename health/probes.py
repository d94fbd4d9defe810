"""One try of one probe: tcp, http or exec.

Whatever happens is a finding with words, never an exception. What is our own trouble and not the
replica's (no free descriptor, engine away) is an unknown result.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from cluster.model import Address, Replica
from cluster.runtime import RuntimeFailure
from health.answer import Answer, NotHttp
from health.connect import connected
from health.duties import Check, probed_address
from health.verdict import Finding, Result

Execute = Callable[[str, Sequence[str], float], Awaitable[int]]
"""Instance, command, timeout in seconds -> exit code; raises RuntimeFailure."""

_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_NAMES = {errno.ECONNREFUSED: "connection refused", errno.ECONNRESET: "connection reset"}
# The driver keeps the timeout of a command; ours is only a net below it.
_EXEC_MARGIN = 1.0


async def attempt(check: Check, replica: Replica, timeout: float, execute: Execute) -> Finding:
    """One try that takes at most `timeout` seconds."""
    if check.exec is not None:
        return await run_command(check.exec, replica.instance, timeout, execute)
    if replica.address is None:
        return Finding(Result.UNKNOWN, "its address is not known yet")
    address = probed_address(check, replica.address)
    if check.http is not None:
        return await get(address, check.http, timeout)
    return await tcp(address, timeout)


async def tcp(address: Address, timeout: float) -> Finding:
    """Does somebody listen? The connection is closed at once and carries nothing."""
    try:
        async with asyncio.timeout(timeout), connected(address, unseen=True):
            return Finding(Result.PASSED, f"port {address.port} opened")
    except TimeoutError:
        return Finding(Result.FAILED, f"no answer within {timeout:g} s")
    except OSError as error:
        return _failure(error)


async def get(address: Address, path: str, timeout: float) -> Finding:
    """Is the answer to GET a 2xx or 3xx? Redirects are not followed."""
    what = f"GET {path}"
    try:
        async with asyncio.timeout(timeout):
            answer = await _exchange(address, path)
    except TimeoutError:
        return Finding(Result.FAILED, f"{what} was not answered within {timeout:g} s")
    except NotHttp as error:
        return Finding(Result.FAILED, f"{what}: it {error}")
    except OSError as error:
        return _failure(error, f"{what}: ")
    return _judged(what, answer)


async def run_command(
    command: Sequence[str], instance: str | None, timeout: float, execute: Execute
) -> Finding:
    """Does the command, run beside the replica, end with code 0?"""
    name = command[0] if command else ""
    if instance is None:
        return Finding(Result.UNKNOWN, f"exec {name}: there is no instance to run it in")
    try:
        async with asyncio.timeout(timeout + _EXEC_MARGIN):
            code = await execute(instance, command, timeout)
    except TimeoutError:
        return _too_slow(name, timeout)
    except RuntimeFailure as failure:
        if failure.code == "timeout":
            return _too_slow(name, timeout)
        return Finding(Result.UNKNOWN, f"exec {name}: {failure.message}")
    return Finding(Result.FAILED if code else Result.PASSED, f"exec {name} ended with code {code}")


async def _exchange(address: Address, path: str) -> Answer:
    """Raises OSError, NotHttp."""
    loop = asyncio.get_running_loop()
    answer = Answer()
    async with connected(address) as sock:
        await loop.sock_sendall(sock, _request(address, path))
        while not answer.complete:
            data = await loop.sock_recv(sock, 4096)
            if data:
                answer.feed(data)
            else:
                answer.end()
    return answer


def _request(address: Address, path: str) -> bytes:
    # Quoting also keeps a line break in the path from becoming a field of its own.
    target = quote(path, safe="/?&=%:;,@!$'()*+~[]")
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {address}",
        "User-Agent: tidegate-probe/1",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _judged(what: str, answer: Answer) -> Finding:
    text = f"{what} answered {answer.status}"
    if answer.passed:
        return Finding(Result.PASSED, text)
    excerpt = answer.excerpt()
    return Finding(Result.FAILED, f'{text} "{excerpt}"' if excerpt else text)


def _failure(error: OSError, prefix: str = "") -> Finding:
    if isinstance(error, socket.gaierror):
        return Finding(Result.FAILED, f"{prefix}its name could not be resolved: {error.strerror}")
    code = error.errno or 0
    text = _NAMES.get(code) or error.strerror or str(error)
    if code in _OURS:
        return Finding(Result.UNKNOWN, f"{prefix}the probe itself failed: {text}")
    return Finding(Result.FAILED, prefix + text)


def _too_slow(name: str, timeout: float) -> Finding:
    return Finding(Result.FAILED, f"exec {name} did not end within {timeout:g} s")
