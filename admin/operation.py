"""The shape of an entry in the route table, and of the call that its answer is made from.

Pure.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admin.parameters import Parameter

if TYPE_CHECKING:
    from aiohttp import web

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its query already checked against the table."""

    request: "web.Request"
    query: dict[str, Any]

    @property
    def name(self) -> str:
        """The service that the path names."""
        return self.request.match_info["name"]

    @property
    def id(self) -> str:
        """The lease that the path names."""
        return self.request.match_info["id"]


Answer = Callable[[Call], Awaitable["web.StreamResponse"]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `sends` and `body` name schemas of the document; `problems` are the codes it may answer with
    besides those that every operation may. `status` is that of success.
    """

    method: str
    path: str
    answer: Answer
    summary: str
    query: tuple[Parameter, ...] = ()
    body: str | None = None
    sends: str | None = None
    content_type: str = JSON
    problems: tuple[str, ...] = ()
    status: int = 200

    @property
    def of_a_service(self) -> bool:
        return "{name}" in self.path

    @property
    def is_endless(self) -> bool:
        return any(parameter.name == "follow" for parameter in self.query)
