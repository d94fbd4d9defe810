"""The value of a PromQL query, over the HTTP API of a Prometheus.

No sample is no value, and not zero: a metric that is gone says nothing about load. More than one
is an error, because nobody said which.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

from autoscaler.sources.http import Http
from autoscaler.sources.source import SourceFailure, place_of, secrets_of, without
from config.rules import PrometheusRule


class PrometheusSource:
    """Asks `/api/v1/query` below the rule's URL."""

    def __init__(self, rule: PrometheusRule, http: Http) -> None:
        self._place = place_of(rule.url)
        self._url = _query_url(rule)
        self._headers = dict(rule.headers)
        self._secrets = [*secrets_of(rule.url), *self._headers.values()]
        self._http = http

    async def ask(self) -> float:
        status, body = await self._http.get(self._url, self._headers)
        answer = _read(body)
        if status != HTTPStatus.OK or answer.get("status") != "success":
            raise SourceFailure(without(self._refused(status, answer), self._secrets))
        try:
            return value_of(answer["data"])
        except (LookupError, TypeError, ValueError) as error:
            raise SourceFailure(f"{self._place} does not answer as Prometheus does") from error

    async def close(self) -> None:
        """The connections are shared."""

    def _refused(self, status: int, answer: dict[str, Any]) -> str:
        return f"{self._place} answers {status}: {answer.get('error', 'not as Prometheus does')}"


def _query_url(rule: PrometheusRule) -> str:
    # The server gives up when we do. Plain seconds: it knows no fraction with a unit.
    question = urlencode({"query": rule.query, "timeout": f"{rule.timeout:g}"})
    parts = urlsplit(rule.url)
    path = f"{parts.path.rstrip('/')}/api/v1/query"
    query = "&".join(filter(None, [parts.query, question]))
    return urlunsplit(parts._replace(path=path, query=query, fragment=""))


def value_of(data: dict[str, Any]) -> float:
    """The one value of a result. Raises SourceFailure; LookupError, TypeError or ValueError for
    what is no result."""
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return float(result[1])
    if kind != "vector":
        raise SourceFailure(f"the query gives a {kind}: it must give one value")
    if not result:
        raise SourceFailure("the query gives no sample", silent=True)
    if len(result) > 1:
        raise SourceFailure(f"the query gives {len(result)} samples: aggregate them, as by sum(…)")
    return float(result[0]["value"][1])


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
