"""One try of one probe: tcp, http, exec or grpc.

Whatever happens is a finding with words, never an exception. What is our own trouble and not the
replica's (no free descriptor, engine away) is an unknown result.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from cluster.model import Address, Replica
from cluster.runtime import RuntimeFailure
from config.health import Check
from health.answer import Answer, NotHttp, shortfall
from health.connect import connected
from health.duties import probed_address
from health.verdict import Finding, Result

if TYPE_CHECKING:
    from health.grpc import HealthCall

AGENT = "tidegate-probe/1"
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
        return await get(address, check, timeout)
    if check.grpc:
        return await ask_grpc(address, "" if check.grpc is True else check.grpc, timeout)
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


async def get(address: Address, check: Check, timeout: float) -> Finding:
    """Is the answer to GET as expected? Redirects are not followed."""
    what = f"GET {check.http}"
    try:
        async with asyncio.timeout(timeout):
            answer = await _exchange(address, check)
    except TimeoutError:
        return Finding(Result.FAILED, f"{what} was not answered within {timeout:g} s")
    except NotHttp as error:
        return Finding(Result.FAILED, f"{what}: it {error}")
    except OSError as error:
        return _failure(error, f"{what}: ")
    return _judged(what, answer, check)


async def ask_grpc(address: Address, service: str, timeout: float) -> Finding:
    """Does the server's health service say SERVING?"""
    # Loaded on first use: 30 ms that most never need.
    from health.grpc import HealthCall, NotGrpc

    what = f'gRPC health of "{service}"' if service else "gRPC health"
    call = HealthCall(str(address), service, timeout)
    try:
        async with asyncio.timeout(timeout), connected(address) as sock:
            await _converse(sock, call)
    except TimeoutError:
        return Finding(Result.FAILED, f"{what} was not answered within {timeout:g} s")
    except NotGrpc as error:
        return Finding(Result.FAILED, f"{what}: it {error}")
    except OSError as error:
        return _failure(error, f"{what}: ")
    return Finding(Result.PASSED if call.is_serving else Result.FAILED, f"{what}: {call.answer}")


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


async def _exchange(address: Address, check: Check) -> Answer:
    """Raises OSError, NotHttp."""
    loop = asyncio.get_running_loop()
    answer = Answer()
    async with connected(address) as sock:
        await loop.sock_sendall(sock, _request(address, check))
        while not answer.complete:
            data = await loop.sock_recv(sock, 4096)
            if data:
                answer.feed(data)
            else:
                answer.end()
    return answer


async def _converse(sock: socket.socket, call: "HealthCall") -> None:
    """Raises OSError, NotGrpc."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, call.begin())
    while not call.answer:
        reply = call.feed(await loop.sock_recv(sock, 4096))
        if reply:
            await loop.sock_sendall(sock, reply)


def _request(address: Address, check: Check) -> bytes:
    # Quoting also keeps a line break in the path from becoming a field of its own.
    target = quote(check.http or "/", safe="/?&=%:;,@!$'()*+~[]")
    own = {"Host": str(address), "User-Agent": AGENT, "Accept": "*/*"}
    said = {name.lower() for name, _ in check.headers}
    fields = [pair for pair in own.items() if pair[0].lower() not in said]
    fields += [*check.headers, ("Connection", "close")]
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _judged(what: str, answer: Answer, check: Check) -> Finding:
    lacking = shortfall(answer, check)
    if not lacking:
        return Finding(Result.PASSED, f"{what} answered {answer.status}")
    excerpt = answer.excerpt()
    text = f"{what} {lacking}"
    return Finding(Result.FAILED, f'{text} "{excerpt}"' if excerpt else text.removesuffix(":"))


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
