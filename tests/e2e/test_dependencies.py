"""One request wakes what a service needs, with real processes: in order, and in parallel."""

from pathlib import Path
from typing import Any

from tests.support.running import APP, Running, configuration, descendants, tidegate

IDLE = {"idle": {"stop_after": "3s"}}
START = 1.0  # seconds until a replica listens


def marked(
    folder: Path, name: str, *words: str, beside: str | None = None, **changes: Any
) -> dict[str, Any]:
    """A service that writes down when it was started. `beside`: it goes on only when that one was
    started, too; of two that wait for each other so, neither is started after the other listens."""
    program = f'date +%s.%N >> \'{folder / name}\'; exec "$0" "$@"'
    if beside is not None:
        waits = f"until [ -e '{folder / beside}' ]; do sleep 0.02; done; exec"
        program = program.replace("exec", waits)
    return {
        "command": ["/bin/sh", "-c", program, *(words or APP)],
        "env": {"START_DELAY": str(START)},
        "scaling": IDLE,
        **changes,
    }


def starts(folder: Path, name: str) -> list[float]:
    return [float(line) for line in (folder / name).read_text().split()]


def needs(**conditions: str) -> dict[str, Any]:
    return {name: {"condition": condition} for name, condition in conditions.items()}


async def none_left(running: Running) -> bool:
    return not descendants(running.process.pid)


async def test_one_request_wakes_a_whole_shop_and_all_of_it_sleeps_again(tmp_path: Path) -> None:
    """web → api → db, a cache, and a migration that needs db and runs once."""
    services = {
        "web": marked(
            tmp_path, "web", depends_on=needs(api="healthy", cache="started", migrate="completed")
        ),
        "api": marked(tmp_path, "api", beside="migrate", depends_on=["db"]),
        "db": marked(tmp_path, "db", beside="cache"),
        "cache": marked(tmp_path, "cache", beside="db"),
        "migrate": marked(tmp_path, "migrate", "sleep", "0.3", beside="api", depends_on=["db"]),
        "blog": marked(tmp_path, "blog"),
    }
    async with tidegate(configuration(tmp_path, services)) as running:
        answer = await running.get("web")
        assert answer.status == 200
        assert answer.headers["Server-Timing"].startswith("wake;dur=")
        at = {name: starts(tmp_path, name) for name in services if name != "blog"}
        assert {name: len(times) for name, times in at.items()} == dict.fromkeys(at, 1)
        first = {name: times[0] for name, times in at.items()}
        assert first["api"] >= first["db"] + START, "db listens only then"
        assert first["migrate"] >= first["db"] + START
        assert first["web"] >= first["api"] + START
        assert first["web"] >= first["migrate"] + 0.3
        assert not (tmp_path / "blog").exists()

        assert (await running.service("migrate"))["completed"]
        assert running.said("replica-completed")
        await running.until(lambda: none_left(running))
        assert running.said("replica-stopped")[0].startswith("web-")
        assert not running.said("replica-failed")

        assert (await running.get("web")).status == 200
        assert len(starts(tmp_path, "migrate")) == 2, "once for each wake"
        await running.until(lambda: none_left(running))


async def test_who_waits_for_what_cannot_start_is_told_why(tmp_path: Path) -> None:
    services = {
        "web": marked(tmp_path, "web", depends_on=["api"]),
        "api": marked(tmp_path, "api", depends_on=["db"]),
        "db": marked(tmp_path, "db", "/bin/sh", "-c", "exit 3"),
    }
    async with tidegate(configuration(tmp_path, services)) as running:
        answer = await running.get("web")
        assert answer.status == 503
        assert answer.json["code"] == "dependency-failed"
        assert "db, which it needs, has failed: exited with code 3" in answer.json["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
        assert not (tmp_path / "web").exists()
        assert not (tmp_path / "api").exists()


async def test_a_group_wakes_with_one_request_for_any_of_it(tmp_path: Path) -> None:
    services = {
        name: marked(tmp_path, name, beside=beside, group=group)
        for name, beside, group in (("a", "b", "shop"), ("b", "a", "shop"), ("c", "c", "other"))
    }
    async with tidegate(configuration(tmp_path, services)) as running:
        assert (await running.get("b")).status == 200

        async def both() -> bool:
            return any(line.startswith("a-") for line in running.said("replica-ready"))

        await running.until(both)
        assert not (tmp_path / "c").exists()
        await running.until(lambda: none_left(running))
