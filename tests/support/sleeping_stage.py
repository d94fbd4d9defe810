"""A gateway whose services have something to say to requests while they sleep."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from cluster.messages import LoadReport
from config.service import Service
from tests.support.raw_http import Stage, stage, until

BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


@contextlib.asynccontextmanager
async def served(
    *scripts: Any, more: dict[str, Any] | None = None, **web: Any
) -> AsyncIterator[Stage]:
    """ "web" on every host, and other services on hosts of their names."""
    services = {"web": Service.model_validate({"name": "web", "hosts": ("*",), **web})}
    for name, changes in (more or {}).items():
        facts = {"name": name, "hosts": (f"{name}.test",), **changes}
        services[name] = Service.model_validate(facts)
    async with stage(*scripts, services=services) as s:
        yield s


async def last_report(s: Stage) -> LoadReport:
    seen = len(s.events.of(LoadReport))
    await until(lambda: len(s.events.of(LoadReport)) > seen, "a report")
    return s.events.of(LoadReport)[-1]
