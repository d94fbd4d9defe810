"""A replica's output: a file for stdout and one for stderr, written by the replica itself.

Nothing of ours stands in between, so it can neither block the replica nor die under it. The guard
moves a file that is full to `NAME.1`; readers cope with that. The order between the two
streams is not known: the last lines of stdout are told before those of stderr.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import quote

from cluster.runtime import LogLine
from runtimes.process_inotify import Inotify

STREAMS = ("stdout", "stderr")
_BATCH = 256 * 1024
_LONGEST = 64 * 1024  # bytes: a longer line is told in parts


class ReplicaLogs:
    """The files of one replica in the folder of all logs."""

    def __init__(self, folder: Path, replica: str) -> None:
        self._replica = replica
        self._paths = {stream: folder / f"{quote(replica, safe='')}.{stream}" for stream in STREAMS}

    @contextlib.contextmanager
    def opened(self) -> Iterator[dict[str, int]]:
        """New, empty files to give to the replica. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC
        with contextlib.ExitStack() as stack:
            self.remove()
            descriptors = {}
            for stream, path in self._paths.items():
                descriptors[stream] = os.open(path, flags, 0o600)
                stack.callback(os.close, descriptors[stream])
            yield descriptors

    def remove(self) -> None:
        for path in self._paths.values():
            path.unlink(missing_ok=True)
            former(path).unlink(missing_ok=True)

    def last_error(self) -> str:
        """The last line on stderr with something in it: mostly the cause of an end."""
        with contextlib.suppress(OSError), _Reader(self._paths["stderr"]) as reader:
            lines = [line.strip() for line in reader.last_lines(20, partial=True)]
            return next((line for line in reversed(lines) if line), "")[:300]
        return ""

    async def tell(
        self,
        tail: int,
        *,
        follow: bool,
        ended: "asyncio.Future[int | None]",
        wall_clock: Callable[[], float],
    ) -> AsyncIterator[LogLine]:
        """As `Runtime.logs`; following ends with `ended`. Raises OSError."""
        with contextlib.ExitStack() as stack:
            readers = {
                stream: stack.enter_context(_Reader(path)) for stream, path in self._paths.items()
            }
            for stream, lines in _last_lines(readers, tail, partial=not follow).items():
                for text in lines:
                    yield LogLine(self._replica, stream, text)
            if follow:
                news = stack.enter_context(_news(list(self._paths.values()), ended))
                async for stream, text in _follow(readers, news, ended):
                    yield LogLine(self._replica, stream, text, wall_clock())


async def _follow(
    readers: dict[str, "_Reader"], news: asyncio.Event, ended: "asyncio.Future[int | None]"
) -> AsyncIterator[tuple[str, str]]:
    while True:
        news.clear()
        last = ended.done()
        lines = [(stream, text) for stream, reader in readers.items() for text in reader.fresh()]
        if last and not lines:
            break
        for line in lines:
            yield line
        if lines:
            await asyncio.sleep(0)  # a replica that writes without end must not hold up the loop
        else:
            await news.wait()
    for stream, reader in readers.items():
        for text in reader.unfinished():
            yield stream, text


class _Reader:
    """Reads one log, from its last lines on, even when it was removed meanwhile."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._former = former(path)
        self._file = os.open(path, os.O_RDONLY)
        self._offset = 0
        self._rest = b""
        self._moved = _identity(self._former)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._file)

    def last_lines(self, count: int, *, partial: bool) -> list[str]:
        """Also the one that has no end yet, if `partial`. What follows them is `fresh`."""
        with _held(self._file):
            self._moved = _identity(self._former)
            self._offset = os.fstat(self._file).st_size
            data = _end_of(self._file, self._offset, count)
            if data.count(b"\n") < count:
                data = _end_of_former(self._former, count) + data
        *lines, self._rest = data.split(b"\n")
        told = _decoded(lines) + (self.unfinished() if partial else [])
        return told[-count:] if count else []

    def fresh(self) -> list[str]:
        """Whole lines since the last call, but not very many at once; empty: there are none."""
        while data := self._new_bytes():
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > _LONGEST:
                lines.append(self._rest)
                self._rest = b""
            if lines:
                return _decoded(lines)
        return []

    def unfinished(self) -> list[str]:
        """The last line, the end of which has not come."""
        rest, self._rest = self._rest, b""
        return _decoded([rest] if rest else [])

    def _new_bytes(self) -> bytes:
        with _held(self._file):
            moved = _identity(self._former)
            if moved != self._moved:
                offset, self._offset, self._moved = self._offset, 0, moved
                if data := self._rest_of_former(offset):
                    return data
            data = os.pread(self._file, _BATCH, self._offset)
            self._offset += len(data)
            return data

    def _rest_of_former(self, offset: int) -> bytes:
        with _opened(self._former) as file:
            size = os.fstat(file).st_size
            # Shorter than what we have read: we missed a move, and this is the log that came next.
            is_another = offset > size
            first = _first_byte(file, 0 if is_another else offset)
            data = os.pread(file, max(0, size - first), first)
        if is_another or first > offset:
            # What comes next was cut away: an end and a beginning make no line.
            self._rest = b""
            data = data.partition(b"\n")[2]
        return data


def former(path: Path) -> Path:
    """Where the guard moves what a full log holds."""
    return path.with_name(f"{path.name}.1")


@contextlib.contextmanager
def _held(file: int) -> Iterator[None]:
    """The guard moves nothing meanwhile. Never held while anybody is awaited."""
    fcntl.flock(file, fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextlib.contextmanager
def _news(paths: Sequence[Path], ended: "asyncio.Future[int | None]") -> Iterator[asyncio.Event]:
    """An event that is set whenever one of the files was written to, and by `ended`."""
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    inotify = Inotify()
    try:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # the replica was stopped just now
                inotify.watch(path)

        def on_files() -> None:
            inotify.read()
            news.set()

        def on_end(_: object) -> None:
            news.set()

        loop.add_reader(inotify.descriptor, on_files)
        ended.add_done_callback(on_end)
        try:
            yield news
        finally:
            ended.remove_done_callback(on_end)
            loop.remove_reader(inotify.descriptor)
    finally:
        inotify.close()


def _last_lines(readers: dict[str, _Reader], count: int, *, partial: bool) -> dict[str, list[str]]:
    """The last `count` lines of all together: half of them each where there are as many."""
    lines = {
        stream: reader.last_lines(count, partial=partial) for stream, reader in readers.items()
    }
    errors = min(len(lines["stderr"]), max(count // 2, count - len(lines["stdout"])))
    shares = {"stdout": count - errors, "stderr": errors}
    return {stream: lines[stream][-share:] if share else [] for stream, share in shares.items()}


def _end_of(file: int, size: int, count: int) -> bytes:
    """The last `count` lines at least, if there are as many."""
    data = b""
    start = size
    lowest = _first_byte(file, 0)
    while start > lowest and data.count(b"\n") <= count:
        end, start = start, max(lowest, start - _BATCH)
        data = os.pread(file, end - start, start) + data
    return data


def _end_of_former(path: Path, count: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), _opened(path) as file:
        return _end_of(file, os.fstat(file).st_size, count)
    return b""


def _first_byte(file: int, offset: int) -> int:
    """The place of the first byte from `offset` on that was not cut away; else the end."""
    try:
        return os.lseek(file, offset, os.SEEK_DATA)
    except OSError:  # ENXIO: only a hole, or nothing, comes after it
        return max(offset, os.fstat(file).st_size)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)


def _identity(path: Path) -> tuple[int, int] | None:
    """Changes whenever the guard has moved a log there."""
    with contextlib.suppress(FileNotFoundError):
        seen = path.stat()
        return seen.st_ino, seen.st_mtime_ns
    return None


def _decoded(lines: Sequence[bytes]) -> list[str]:
    return [line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines]
