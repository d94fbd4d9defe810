"""Which tests run one after the other is told by their names (tests/chains.py)."""

import ast

import pytest

from tests.architecture.sources import ROOT
from tests.chains import ALSO_DOCKER, OWN_ENGINES, chain, turn

SYSTEM = "tests/faults/test_clock.py::test_it[process]"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tests/docker/test_docker_exec.py::test_it", "docker"),
        ("tests/contracts/test_docker.py::TestDockerRuntime::test_it", "docker"),
        ("tests/e2e/test_docker.py::test_it", "docker systems"),
        ("tests/e2e/test_engine_trouble.py::test_it[plain]", "docker"),
        ("tests/faults/test_clock.py::test_it[docker]", "docker systems"),
        (SYSTEM, SYSTEM),
        ("tests/gateway/test_tls.py::test_it[asyncio-::1]", "tests/gateway/test_tls.py"),
    ],
)
def test_a_chain_is_docker_a_file_or_a_system(name: str, expected: str) -> None:
    assert chain(name) == expected


def test_the_long_begin_first() -> None:
    names = ["docker/test_a.py", "gateway/test_a.py", "e2e/test_docker.py", "e2e/test_a.py"]
    assert sorted((f"tests/{name}::test_it" for name in names), key=turn) == [
        "tests/e2e/test_docker.py::test_it",
        "tests/docker/test_a.py::test_it",
        "tests/e2e/test_a.py::test_it",
        "tests/gateway/test_a.py::test_it",
    ]


@pytest.mark.parametrize("name", [*OWN_ENGINES, *ALSO_DOCKER])
def test_what_is_named_is_there(name: str) -> None:
    path, _, test = name.partition("::")
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    assert test in {"", *(n.name for n in nodes if isinstance(n, ast.AsyncFunctionDef))}
