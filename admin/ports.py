"""What the API asks of the system behind it. The composition root implements it.

Reading never waits and never changes anything; names that are asked for were found by `service`
before. Whatever is told here is shown to operators as it is.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from admin.views import LeaseView, ServiceView
from cluster.runtime import LogLine

if TYPE_CHECKING:
    from cluster.events import Events


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What a reload did. Not ok: nothing changed, and `problems` says why, one line each.

    `restart_needed` names settings that differ in the file but only a restart applies; `warnings`
    tell what is allowed but unwise, one line each.
    """

    ok: bool
    problems: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """Whether another process has taken our place, and its id. If not, all is as it was, and `why`
    says what to do."""

    ok: bool
    pid: int = 0
    why: str = ""


class ControlPlane(Protocol):
    @property
    def events(self) -> "Events": ...

    async def refresh(self) -> None:
        """Make what is read next as fresh as can be; called before a request is
        answered, but not for the checks of liveness and readiness."""

    def services(self) -> Sequence[ServiceView]:
        """All of them, in the order of the file."""

    def service(self, name: str) -> ServiceView | None: ...

    def decisions(
        self, name: str, limit: int, at: float | None = None
    ) -> Sequence[Mapping[str, object]]:
        """Newest first, `limit` at most, beginning with the one in force at `at`. All times are
        wall-clock seconds. Keys: `at`, `since` (earlier where `at` only confirmed what was),
        `until` (when the next one came, None), `before` and `replicas` (the wish before and
        after), `mode`, `reason`, `result` (what came of it, None); more are welcome."""

    def explain(self, name: str) -> Mapping[str, object]:
        """Why it has as many replicas as it has. Keys, all optional:

        `at` wall-clock seconds of the decision; `inputs` a mapping of what was seen;
        `rules` a list of {`rule`, `wish`, `reason`}; `limits` a list of
        {`limit`, `before`, `after`, `reason`}, those that changed the wish, in order;
        `outcome` {`replicas`, `frozen`, `mode`, `reason`}; `manual` {`replicas`, `ends_in`}, None;
        `panic_ends_in`, `next_step_down_in`, `idle_seconds` in seconds or None;
        `next_change_in` seconds until a schedule changes something, or it is woken before a call,
        None; `result` what came of the last change, None; `sleep` what was learned of its silences
        (`calls`, `silent_for`, `chance_now`, `worth_from`, `kept_to_the_timeout`, `habit`,
        `excess_seconds`, `bound_seconds`, `next_wake_in`); `trouble` {`code`, `message`} or None.
        """

    def scale(self, name: str, replicas: int, duration: float | None) -> None:
        """Keep this many by hand, for `duration` seconds or for good. ValueError when it may not
        be, with a message for the operator."""

    def automatic(self, name: str) -> None:
        """Undo `scale`. Nothing happens when it is automatic already."""

    def lease(self, name: str, seconds: float, wake: bool, replica: str | None) -> LeaseView:
        """Keep it from freezing and stopping for so long. ValueError when it may not be, with a
        message for the operator."""

    def release(self, name: str, id: str) -> LeaseView | None:
        """Give a lease back. None: there is no such lease, or it has ended."""

    def restart(self, name: str) -> None:
        """Replace every replica there is, within the service's `rollout`."""

    def rollback(self, name: str) -> None:
        """Run the last other revision that was healthy, until the file names another one.
        ValueError when none is known, with a message for the operator."""

    def release_rollback(self, name: str) -> None:
        """Undo `rollback`, an automatic one too. Nothing happens when there is none."""

    async def reload(self) -> ReloadResult:
        """Read the file again."""

    async def upgrade(self) -> UpgradeResult:
        """Have another process, with the code and the file of now, take our place."""

    def logs(self, name: str, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        """The last `tail` lines of each replica, then, following, the lines as they come until
        closed. May raise cluster.runtime.RuntimeFailure."""

    def problems(self) -> Sequence[str]:
        """What is wrong beyond single services, for `status`: each line of a file that the last
        reload refused. Empty when all is well."""

    def readiness(self) -> str | None:
        """None when ready; otherwise why not: starting, draining, …"""
