"""Routes: the most specific wins, and no spelling of a path reaches another service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Table, normal_path

TABLE = Table(
    [
        ("shop.test", "/", "shop"),
        ("shop.test", "/admin", "admin"),
        ("shop.test", "/admin/api/", "api"),
        ("*.test", "/", "wild"),
        ("*.deep.test", "/", "deep"),
        ("only.test", "/v1", "v1"),
        ("*", "/any", "any"),
    ]
)


@pytest.mark.rule("Tidegate: routing", side="client")
@pytest.mark.parametrize(
    ("host", "target", "route"),
    [
        (b"shop.test", b"/", "shop"),
        (b"shop.test", b"/admin", "admin"),
        (b"shop.test", b"/admin/", "admin"),
        (b"shop.test", b"/admin?x=/admin/api", "admin"),
        (b"shop.test", b"/admin/api", "api"),
        (b"shop.test", b"/admin/api/x", "api"),
        (b"shop.test", b"/admin/apix", "admin"),
        (b"shop.test", b"/administrator", "shop"),
        (b"shop.test", b"*", "shop"),
        (b"a.test", b"/", "wild"),
        (b"a.b.test", b"/", "wild"),
        (b"a.deep.test", b"/", "deep"),
        (b"a.b.deep.test", b"/", "deep"),
        (b"deep.test", b"/", "wild"),
        (b"test", b"/", None),
        (b"only.test", b"/v1/x", "v1"),
        (b"only.test", b"/v2", "wild"),
        (b"elsewhere", b"/any/x", "any"),
        (b"elsewhere", b"/", None),
    ],
)
def test_the_most_specific_host_and_the_longest_prefix_win(
    host: bytes, target: bytes, route: str | None
) -> None:
    assert TABLE.match(host, target) == route


@pytest.mark.rule("RFC 3986 §6.2.2: escapes", side="client")
@pytest.mark.rule("RFC 3986 §5.2.4: dot segments", side="client")
@pytest.mark.rule("RFC 3986 §6.2: double slashes", side="client")
@pytest.mark.parametrize(
    "target",
    [
        b"//admin",
        b"/./admin",
        b"/x/../admin",
        b"/%61dmin",
        b"/%2e/admin",
        b"/x/%2e%2E/admin",
        b"/x%2f..%2fadmin",
        b"/..//admin",
        b"/%2fadmin",
        b"\\admin",
        b"/\\admin",
        b"/x/..%5cadmin",
        b"/admin/.",
        b"/admin//x",
        b"/admin/api/../x",
    ],
)
def test_no_spelling_passes_by_a_prefix(target: bytes) -> None:
    assert TABLE.match(b"shop.test", target) == "admin"


@pytest.mark.rule("RFC 3986 §6.2.2: escapes", side="client")
def test_escapes_are_decoded_once() -> None:
    assert TABLE.match(b"shop.test", b"/%2561dmin") == "shop"


@pytest.mark.rule("RFC 3986 §5.2.4: dot segments", side="client")
@pytest.mark.rule("RFC 3986 §6.2: double slashes", side="client")
@given(st.binary(max_size=40))
def test_a_normal_path_has_no_dots_and_no_double_slashes(target: bytes) -> None:
    path = normal_path(b"/" + target)
    assert path.startswith(b"/")
    assert b"//" not in path
    assert not {b".", b".."} & set(path.split(b"/"))


def test_the_first_of_equal_routes_stays() -> None:
    assert Table([("a", "/", 1), ("a", "/", 2)]).match(b"a", b"/") == 1
