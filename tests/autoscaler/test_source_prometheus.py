"""Queries of a real Prometheus, and answers that only a broken one gives."""

import pytest

from autoscaler.sources.http import Http
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.sources.source import SourceFailure
from autoscaler.standing import reading_of
from config.rules import PrometheusRule
from tests.support.http_answers import answering
from tests.support.servers import prometheus_url

__all__ = ["prometheus_url"]


async def ask(url: str, query: str, **changes: object) -> float:
    facts = {"metric": "prometheus", "url": url, "query": query, "target": 1.0, **changes}
    http = Http()
    try:
        return await PrometheusSource(PrometheusRule.model_validate(facts), http).ask()
    finally:
        await http.close()


async def refused(url: str, query: str, **changes: object) -> SourceFailure:
    with pytest.raises(SourceFailure) as failure:
        await ask(url, query, **changes)
    assert "hunter2" not in failure.value.says
    return failure.value


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("vector(5)", 5.0),
        ("scalar(vector(2.5))", 2.5),
        ("7", 7.0),
        ('sum(vector(1) or label_replace(vector(2), "a", "b + c & ü", "", ""))', 3.0),
        ("1e6 * vector(-3)", -3e6),
    ],
)
async def test_a_vector_of_one_and_a_scalar_are_values(
    prometheus_url: str, query: str, value: float
) -> None:
    assert await ask(prometheus_url, query) == value
    assert await ask(f"{prometheus_url}/", query, timeout=0.75) == value


async def test_no_sample_is_missing_data_and_not_zero(prometheus_url: str) -> None:
    failure = await refused(prometheus_url, "vector(0) > 1")
    assert (failure.says, failure.silent) == ("the query gives no sample", True)


@pytest.mark.parametrize("query", ["vector(0) / 0", "vector(1) / 0", "scalar(vector(1) > 1)"])
async def test_what_is_no_number_is_missing_data(prometheus_url: str, query: str) -> None:
    """IEEE 754 as PromQL has it: NaN and Inf are values there."""
    assert reading_of(await ask(prometheus_url, query), 0.0).value is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            'vector(1) or label_replace(vector(2), "a", "b", "", "")',
            "the query gives 2 samples: aggregate them, as by sum(…)",
        ),
        ("up[5m]", "the query gives a matrix: it must give one value"),
        ('"x"', "the query gives a string: it must give one value"),
    ],
)
async def test_what_is_not_one_value_is_an_error(
    prometheus_url: str, query: str, says: str
) -> None:
    failure = await refused(prometheus_url, query)
    assert (failure.says, failure.silent) == (says, False)


async def test_what_prometheus_says_of_a_wrong_query_is_told(prometheus_url: str) -> None:
    failure = await refused(prometheus_url, "sum(")
    assert failure.says.startswith(f"{prometheus_url} answers 400: ")
    assert "parse error" in failure.says


async def test_it_asks_below_its_path_with_its_headers() -> None:
    body = '{"status": "success", "data": {"resultType": "scalar", "result": [0, "4"]}}'
    async with answering() as server:
        server.says("/prom/api/v1/query", body)
        url = server.url.replace("//", "//me:hunter2@") + "/prom/?dedup=true"
        assert await ask(url, "a+b", timeout=2.0) == 4
        (request,) = server.requests
        assert dict(request.query) == {"dedup": "true", "query": "a+b", "timeout": "2"}
        assert request.headers["Authorization"].startswith("Basic ")
        await ask(f"{server.url}/prom", "a", headers={"Authorization": "Bearer hunter2"})
        assert server.requests[-1].headers["Authorization"] == "Bearer hunter2"


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, "<html>", "not as Prometheus does"),
        (200, "[]", "not as Prometheus does"),
        (200, '{"status": "success"}', "does not answer as Prometheus does"),
        (200, '{"status": "success", "data": {"resultType": "scalar", "result": [0]}}', "does not"),
        (
            200,
            '{"status":"success","data":{"resultType":"scalar","result":[0,"x"]}}',
            "does not",
        ),
        (401, "hunter2", "answers 401"),
        (503, '{"status": "error", "error": "bad Bearer hunter2"}', "answers 503: bad …"),
    ],
)
async def test_other_answers_are_errors(status: int, body: str, says: str) -> None:
    async with answering() as server:
        server.says("/api/v1/query", body, status)
        headers = {"Authorization": "Bearer hunter2"}
        assert says in (await refused(server.url, "up", headers=headers)).says
