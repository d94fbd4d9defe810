"""Secrets are where they are needed and nowhere else: canaries are planted, everything is searched.

A canary is a text that stands for a secret of its kind. What may show it is named here; whatever
else does is a leak.
"""

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.running import Running, app, configuration, descendants, tidegate

ENV, ENV_FILE, TOKEN = "canary-of-env", "canary-of-env-file", "canary-of-admin-token"
SECOND = "canary-of-second-token"
AUTHORIZATION, COOKIE, BODY = "canary-of-authorization", "canary-of-cookie", "canary-of-body"
SOURCE, SOURCE_FIELD, REDIS = "canary-of-url", "canary-of-source-field", "canary-of-redis"
STDERR = "canary-of-stderr"  # operators see it; clients do not
CANARIES = (ENV, ENV_FILE, TOKEN, AUTHORIZATION, COOKIE, BODY, SOURCE, SOURCE_FIELD, REDIS)
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SENT = {"Authorization": f"Bearer {AUTHORIZATION}", "Cookie": f"session={COOKIE}"}
ALL_PATHS = [
    "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/services", "/v1/events?follow=false",
    *(f"/v1/services/{name}{rest}" for name in ("web", "fails", "missing", "measured")
      for rest in ("", "/decisions", "/explain")),
]  # fmt: skip


def leaks(text: str, *canaries: str) -> list[str]:
    return [canary for canary in canaries or CANARIES if canary in text]


def services() -> dict[str, Any]:
    env = {"env": {"PASSWORD": ENV, "LOUD": f"{ENV}-\x1b[2J"}, "env_file": ["secrets.env"]}
    short = {"stop_grace": "1s", "drain": "1s"}
    rules = [
        {"metric": "json", "url": f"http://user:{SOURCE}@127.0.0.1:1/x", "value": "a",
         "target": 1, "every": "1s"},
        {"metric": "prometheus", "url": "http://127.0.0.1:1/x", "query": "up",
         "target": 1, "headers": {"Authorization": SOURCE_FIELD}, "every": "1s"},
        {"metric": "redis", "url": f"redis://:{REDIS}@127.0.0.1:1/0", "list": "jobs",
         "target": 1, "every": "1s"},
    ]  # fmt: skip
    return {
        "web": app(**env, **short),
        "fails": {"command": ["sh", "-c", f"echo {STDERR} >&2; exit 3"], **env, **short},
        "missing": {"command": ["/no/such/program"], **env, **short},
        "measured": app(**env, **short, scaling={"rules": rules}),
        "down": {"endpoints": ["127.0.0.1:1"]},
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secrets.env").write_text(f"FROM_FILE={ENV_FILE}\n")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    return configuration(
        tmp_path,
        services(),
        admin={"listen": "127.0.0.1:0", "token_file": "token"},
        gateway={"listen": ["127.0.0.1:0"], "workers": 1, "access_log": "json"},
    )


async def test_nothing_that_others_may_see_shows_a_secret(file: Path) -> None:
    async with tidegate(file, "--log-level", "debug") as running:
        seen = await _used(running)
        lease_token = (await running.get("web", "/env?name=TIDEGATE_LEASE_TOKEN")).body.decode()
        assert len(lease_token) == 64
        canaries = (*CANARIES, lease_token)
        seen += await _asked(running)
        seen += await _reloaded_wrong(running)
        seen += _command_lines(running.process.pid)
        _look_at_state(file.parent / "state", canaries)
        assert await running.end() == 0
        seen.append("\n".join(map(str, running.log)))
        assert any("POST" in str(line) and "/page" in str(line) for line in running.log)
    for text in seen:
        assert leaks(text, *canaries) == [], text


async def _used(running: Running) -> list[str]:
    """Requests of every outcome, with secrets in them; what they are answered."""
    told: list[str] = []
    for service in ("web", "fails", "missing", "down", "nobody-knows"):
        answer = await running.request(
            "POST", service, "/page", headers={**SENT, "Accept": "text/html"}, data=BODY
        )
        assert answer.status >= 400
        told.append(answer.body.decode() + str(answer.headers))
        assert leaks(told[-1], STDERR) == []
    trouble = (await running.api("/v1/services/fails", headers=BEARER)).json["trouble"]
    assert STDERR in trouble["message"]
    assert (await running.get("web", "/env?name=PASSWORD")).body.decode() == ENV
    assert (await running.get("web", "/env?name=FROM_FILE")).body.decode() == ENV_FILE

    async def measured() -> bool:
        return len(running.said("metric-away")) == 3

    await running.until(measured)
    return told


async def _asked(running: Running) -> list[str]:
    """Every answer of the API, and what somebody with a wrong token is told."""
    told = []
    for path in ALL_PATHS:
        for headers in (BEARER, {"Authorization": f"Bearer {AUTHORIZATION}"}, {}):
            answer = await running.api(path, headers=headers)
            told.append(answer.body.decode() + str(answer.headers))
    for method, path, body in (
        ("POST", "scale", {"replicas": 1}),
        ("DELETE", "scale", None),
        ("POST", "lease", {"for": "1m"}),
        ("POST", "lease", {"for": "1m", "replica": "nobody"}),
    ):
        url = f"/v1/services/web/{path}"
        answer = await running.api(url, method, json=body, headers=BEARER)
        told.append(answer.body.decode())
    return told


async def _reloaded_wrong(running: Running) -> list[str]:
    """Files in which what is wrong stands right beside a secret."""
    good = running.file.read_text()
    told = []
    for wrong in (
        good.replace(f"PASSWORD: {ENV}", f"PASSWORD: [{ENV}]"),
        good.replace(f"PASSWORD: {ENV}", f"PASSWORD: {{a: {ENV}}}"),
        good.replace(f"PASSWORD: {ENV}", f"PASSWORD: '{ENV}"),
        good.replace(f"PASSWORD: {ENV}", f"'PASS WORD': {ENV}"),
        good.replace(f"PASSWORD: {ENV}", f"PASSWORD: !{ENV} x"),
        good.replace(f"PASSWORD: {ENV}", f"PASSWORD: *{ENV}"),
        good.replace("env:", "env: not-a-mapping #", 1),
        good.replace("http://user:", "gopher://user:"),
        good.replace("redis://:", "rdis://:"),
        good.replace(f"Authorization: {SOURCE_FIELD}", f"Authorization: [{SOURCE_FIELD}]"),
        good.replace(f"Authorization: {SOURCE_FIELD}", f'"A b": "{SOURCE_FIELD}\\n"'),
    ):
        assert wrong != good
        running.file.write_text(wrong)
        answer = await running.api("/v1/reload", "POST", headers=BEARER)
        assert answer.status == 422, wrong
        checked = await asyncio.to_thread(_command, "check", "--config", str(running.file))
        told += [answer.body.decode(), checked]
    (running.file.parent / "secrets.env").write_text(f"FROM_FILE='{ENV_FILE}\nA B={ENV_FILE}\n")
    running.file.write_text(good)
    answer = await running.api("/v1/reload", "POST", headers=BEARER)
    assert answer.status == 422
    told += [answer.body.decode(), await asyncio.to_thread(_command, "schema")]
    (running.file.parent / "secrets.env").write_text(f"FROM_FILE={ENV_FILE}\n")
    assert (await running.api("/v1/reload", "POST", headers=BEARER)).status == 200
    return told


def _command_lines(leader: int) -> list[str]:
    """Everybody on a machine may read those."""
    processes = {leader, *descendants(leader)}
    assert len(processes) > 3
    told = []
    for one in processes:
        with contextlib.suppress(OSError):  # one that fails has just ended
            told.append(Path(f"/proc/{one}/cmdline").read_bytes().decode())
    return told


def _command(*words: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "tidegate", *words], capture_output=True, text=True, timeout=60
    )
    return run.stdout + run.stderr


def _look_at_state(state: Path, canaries: tuple[str, ...]) -> None:
    """Only records of processes and of revisions know environments: a Tidegate that adopts or
    rolls back needs them."""
    names = set()
    for folder, _, files in os.walk(state):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
        for name in files:
            path = Path(folder, name)
            names.add(path.relative_to(state).parts[0])
            with contextlib.suppress(FileNotFoundError):  # of one that fails; or it was a draft
                _look_at(path, canaries)
    assert names >= {"replicas", "logs", "owner.lock", "lease.key"}


def _look_at(path: Path, canaries: tuple[str, ...]) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    if path.is_file() and path.parent.name not in ("replicas", "revisions"):
        assert leaks(path.read_bytes().decode("latin-1"), *canaries) == [], path


def forget_token(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    del content["admin"]["token_file"]
    file.write_text(yaml.safe_dump(content))


async def test_the_token_is_read_again_and_never_lost(file: Path) -> None:
    token = file.parent / "token"

    async def status(bearer: str) -> int:
        headers = {"Authorization": f"Bearer {bearer}"}
        return (await running.api("/v1/services", headers=headers)).status

    async def reload(bearer: str) -> None:
        headers = {"Authorization": f"Bearer {bearer}"}
        await running.api("/v1/reload", "POST", headers=headers)

    async def said(words: str) -> bool:
        return any(words in line for line in running.said("admin-token"))

    async with tidegate(file) as running:
        token.write_text(SECOND)
        assert (await status(SECOND), await status(TOKEN)) == (401, 200)
        await reload(TOKEN)
        assert (await status(SECOND), await status(TOKEN)) == (200, 401)
        token.write_text("")
        await reload(SECOND)
        assert (await status(SECOND), await status("")) == (200, 401)
        await running.until(lambda: said("is empty; the former token stays"))
        forget_token(file)
        await reload(SECOND)
        assert (await running.api("/v1/services")).status == 401
        assert await status(SECOND) == 200
        await running.until(lambda: said("until a restart"))
    assert leaks("\n".join(map(str, running.log)), SECOND) == []
