"""Hours of half load with a kill each minute, changes of scale, reloads and clients that leave:
`python -m tests.faults.soak --minutes 60 --on process,docker`.

Each minute what Tidegate believes is compared with what runs; every ten seconds its memory, its
descriptors and its tasks are noted. In the end: the slope of each, every request's account, and a
verdict as the exit code. Sources: faults F43 and F45.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.faults import leaks, ledger
from tests.faults.ground import (
    Containers,
    Ground,
    Processes,
    ledger_of,
    owner_of,
    until_ready,
    until_some,
)
from tests.faults.judge import ONLY_UNSAFE, judge
from tests.faults.load import Load, request_of, running
from tests.support.docker_engine import app_image
from tests.support.running import Running, tidegate

RATE = 60.0  # requests a second: about half of what the scenarios send
LEAVING = 10.0  # clients a second that leave at some point
EVERY = 60.0  # seconds between two rounds of trouble
SAMPLE = 10.0
WARM = 0.25  # of the time, until what is filled once is full
FLAT = {"mib": 0.05, "descriptors": 0.05, "tasks": 0.05}  # growth over the rest, of the mean
SLACK = {"mib": 3.0, "descriptors": 4.0, "tasks": 3.0}


@dataclass
class Samples:
    """(seconds, values) from the same point of each round, so that they can be compared."""

    taken: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def growth(self, name: str) -> tuple[float, float]:
        """(by how much it grew after warming up along the line of least squares, its mean)."""
        rest = self.taken[int(len(self.taken) * WARM) :]
        times = [at for at, _ in rest]
        values = [one[name] for _, one in rest]
        if len(rest) < 3:
            return 0.0, statistics.fmean(values or [0.0])
        slope, _ = statistics.linear_regression(times, values)
        return slope * (times[-1] - times[0]), statistics.fmean(values)

    def verdict(self) -> list[str]:
        """What is not flat."""
        found = []
        for name, share in FLAT.items():
            grown, mean = self.growth(name)
            if grown > max(share * mean, SLACK[name]):
                found.append(f"{name} grew by {grown:.1f} from about {mean:.1f}")
        return found


class Soak:
    def __init__(self, ground: Ground, running: Running, rng: random.Random) -> None:
        self.ground, self.running = ground, running
        self.load = Load(running.gateway, "web.localhost", "soak")
        self.samples = Samples()
        self.troubles: list[str] = []
        self.counts = {"kills": 0, "scales": 0, "reloads": 0, "left": 0}
        self._rng = rng

    async def run(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with running(self.load, RATE), asyncio.TaskGroup() as group:
            leaving = group.create_task(self._clients_that_leave(), name="clients that leave")
            sampling = group.create_task(self._sample(), name="samples")
            while loop.time() - begun < seconds:
                await self._round(loop.time() + min(EVERY, seconds))
            leaving.cancel()
            sampling.cancel()
        self.troubles += await leaks.drift(self.ground, self.running)

    async def _round(self, until: float) -> None:
        """A kill, a change of scale and a reload, then quiet until the next one."""
        loop = asyncio.get_running_loop()
        victim = self._rng.choice(await until_some(self.running))
        os.kill(await self.ground.pid(self.running, victim), signal.SIGKILL)
        self.counts["kills"] += 1
        await asyncio.sleep(3)
        count = self._rng.choice((1, 2, 4))
        await self._scale(count)
        await until_ready(self.running, count)
        self._change_file()
        reloaded = await self.running.api("/v1/reload", "POST")
        self.counts["reloads"] += reloaded.status == 200
        await self._scale(2)
        await until_ready(self.running, 2)
        for trouble in await leaks.drift(self.ground, self.running, at_rest=False):
            self.troubles.append(f"round {self.counts['kills']}: {trouble}")
        await asyncio.sleep(max(0.0, until - loop.time()))

    async def _scale(self, count: int) -> None:
        body = {"replicas": count}
        await self.running.api("/v1/services/web/scale", "POST", json=body)
        self.counts["scales"] += 1

    def _change_file(self) -> None:
        content: dict[str, Any] = yaml.safe_load(self.running.file.read_text())
        content["services"]["web"]["queue"] = {"size": 1000 + self.counts["reloads"] % 7}
        self.running.file.write_text(yaml.safe_dump(content, sort_keys=False))

    async def _sample(self) -> None:
        begun = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(SAMPLE)
            held = await leaks.held(self.ground, self.running)
            values = {
                "mib": held.mib,
                "descriptors": float(held.descriptors),
                "tasks": float(held.tasks),
            }
            self.samples.taken.append((asyncio.get_running_loop().time() - begun, values))

    async def _clients_that_leave(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._leave(), name="a client that leaves")
                await asyncio.sleep(self._rng.expovariate(LEAVING))

    async def _leave(self) -> None:
        """At some byte of the request, or some moment of the answer; with a reset or an end."""
        host, _, port = self.running.gateway.rpartition(":")
        asked = self.load.next()
        asked.probe = f"left-{self.counts['left']}"
        self.counts["left"] += 1
        words = request_of(asked)
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(words[: self._rng.randrange(1, 2 * len(words))])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rng.uniform(0, 0.1)):
                    await reader.read(2**16)
            writer.transport.abort() if self._rng.random() < 0.5 else writer.close()

    def report(self) -> list[str]:
        """Prints it; what is wrong."""
        verdict = judge(
            self.load.sent,
            self.load.records,
            ledger.read(ledger_of(self.ground.folder)),
            ONLY_UNSAFE,
        )
        name = self.ground.name
        print(f"{name}: {verdict.requests} requests, {dict(verdict.outcomes)}, {self.counts}")
        print(f"{name}: excused {dict(verdict.excused)}")
        for one in ("mib", "descriptors", "tasks"):
            grown, mean = self.samples.growth(one)
            print(f"{name}: {one} {mean:.1f} on average, {grown:+.1f} after warming up")
        return [*verdict.offences[:20], *self.troubles, *self.samples.verdict()]


@contextlib.contextmanager
def grounds(names: Sequence[str], folder: Path) -> Iterator[list[Ground]]:
    with contextlib.ExitStack() as stack:
        found: list[Ground] = []
        for name in names:
            (place := folder / name).mkdir()
            if name == "process":
                found.append(Processes(place))
            else:
                found.append(Containers(place, stack.enter_context(app_image())))
        yield found


async def soak(ground: Ground, seconds: float, seed: int) -> list[str]:
    web = ground.service(scaling={"min": 2, "max": 5})
    file = ground.file({"web": web}, gateway={"listen": ["127.0.0.1:0"], "workers": 2})
    async with tidegate(file) as system:
        await until_ready(system, 2)
        one = Soak(ground, system, random.Random(seed))
        await one.run(seconds)
        troubles = one.report()
        unexpected = [str(line["message"]) for line in system.log if "bug" in str(line)]
        troubles += [f"the log: {line}" for line in unexpected[:5]]
    troubles += [f"left: {place}" for place in await leaks.left(ground, owner_of(file))]
    return [f"{ground.name}: {trouble}" for trouble in troubles]


async def main(arguments: argparse.Namespace) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-soak-") as folder,
        grounds(arguments.on.split(","), Path(folder)) as found,
    ):
        seconds = arguments.minutes * 60
        all_of_them = [soak(ground, seconds, arguments.seed) for ground in found]
        troubles = [one for each in await asyncio.gather(*all_of_them) for one in each]
    for trouble in troubles:
        print(f"WRONG {trouble}")
    print("soak:", "not passed" if troubles else "passed", f"({arguments.minutes:g} minutes)")
    return 1 if troubles else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--on", default="process,docker", help="process, docker, or both")
    parser.add_argument("--seed", type=int, default=1)
    sys.exit(asyncio.run(main(parser.parse_args())))
