"""Errors of the API: always application/problem+json (RFC 9457), always with a stable `code`.

`code` is for programs, `detail` is for the person in front of them. Pure.
"""

from collections.abc import Mapping

from cluster.runtime import RuntimeFailure

CONTENT_TYPE = "application/problem+json"

# Every code that the API can answer with, its status and its title.
CODES: dict[str, tuple[int, str]] = {
    "invalid-json": (400, "The body is not JSON"),
    "malformed-request": (400, "The request could not be read"),
    "unauthorized": (401, "A token is needed"),
    "cross-site": (403, "Refused: the request comes from another web site"),
    "not-found": (404, "There is nothing at this path"),
    "unknown-service": (404, "There is no such service"),
    "unknown-lease": (404, "There is no such lease"),
    "method-not-allowed": (405, "This path does not take this method"),
    "body-timeout": (408, "The body did not come in time"),
    "upgrade-failed": (409, "Not replaced; all is as it was"),
    "not-ours": (409, "Others run this service"),
    "no-former-revision": (409, "There is no revision to go back to"),
    "body-too-large": (413, "The body is too large"),
    "form-data": (415, "Refused: a page of a web site can send this without being asked"),
    "misdirected-host": (421, "Refused: the Host is not this machine"),
    "invalid-request": (422, "The request says something that cannot be"),
    "invalid-config": (422, "The file is wrong; the last good one stays"),
    "internal-error": (500, "Tidegate failed to answer"),
    "unsupported": (501, "The runtime cannot do this"),
    "runtime-failure": (502, "The runtime failed to answer"),
    "not-ready": (503, "Not ready"),
    "too-many-connections": (503, "The API has too many connections"),
}


class Problem(Exception):
    """An answer other than success. `more` becomes further members of the JSON object."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.more = more

    @property
    def status(self) -> int:
        return CODES[self.code][0]

    def body(self) -> dict[str, object]:
        return {
            "type": "about:blank",
            "title": CODES[self.code][1],
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.more,
        }


def unknown_service(name: str, close_matches: list[str]) -> Problem:
    hint = f"; did you mean {' or '.join(close_matches)}?" if close_matches else ""
    return Problem("unknown-service", f'no service "{name}"{hint}', close_matches=close_matches)


def of_runtime(failure: RuntimeFailure) -> Problem:
    code = "unsupported" if failure.code == "unsupported" else "runtime-failure"
    return Problem(code, failure.message, cause=failure.code)
