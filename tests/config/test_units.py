"""Durations, sizes and ratios: read, written, and the same again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.units import (
    LARGEST,
    LONGEST,
    Written,
    format_duration,
    format_ratio,
    format_share,
    format_size,
    parse_duration,
    parse_ratio,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("0s", 0.0),
        (0, 0.0),
    ],
)
def test_a_duration_is_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "30",
        30,
        1.5,
        Written("0"),
        True,
        False,
        None,
        "1d",
        "-1s",
        "1 s",
        "s",
        "1:30",
        "٣s",
        "1s\n",
    ],
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 250ms"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"),
        (90.0, "90s"),
        (3600.0, "1h"),
        (300.0, "5m"),
        (0.0, "0s"),
        (1e-7, "0.0001ms"),
    ],
)
def test_a_duration_is_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(
    st.floats(min_value=0, max_value=LONGEST, allow_subnormal=False).filter(
        lambda x: x == 0 or x > 1e-12
    )
)
def test_a_duration_survives_writing(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KiB", 65536),
        ("256MiB", 2**28),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1.5KiB", 1536),
        ("10", 10),
        (10, 10),
        (0, 0),
        ("1 GiB", 2**30),
    ],
)
def test_a_size_is_bytes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "1k", "256Mi", -1, "-1B", 1.5, True, None, "KiB", [1]])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="must be a size such as 64KiB"):
        parse_size(value)


@given(st.integers(min_value=0, max_value=LARGEST))
def test_a_size_survives_writing(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("value", [LARGEST + 1, "8388608TiB"])
def test_a_size_has_an_end(value: object) -> None:
    with pytest.raises(ValueError, match="must be less than 8388608TiB"):
        parse_size(value)


@pytest.mark.parametrize(
    ("text", "ratio"), [("70%", 0.7), ("200%", 2.0), ("0%", 0.0), ("0.1%", 0.001)]
)
def test_a_ratio_is_a_share_of_one(text: str, ratio: float) -> None:
    assert parse_ratio(text) == ratio
    assert format_ratio(ratio) == text


@pytest.mark.parametrize("value", ["70", 70, 0.7, Written("0.7"), "%", "-1%", None, True])
def test_what_is_no_ratio(value: object) -> None:
    with pytest.raises(ValueError, match="must be a ratio such as 70%"):
        parse_ratio(value)


@given(st.floats(min_value=0, max_value=1e9).filter(lambda x: x == 0 or x > 1e-10))
def test_a_ratio_survives_writing(ratio: float) -> None:
    assert parse_ratio(format_ratio(ratio)) == ratio


@given(st.integers(0, 10**6) | st.floats(min_value=0.001, max_value=10))
def test_a_share_is_a_count_or_a_ratio_and_survives_writing(share: float | int) -> None:
    again = parse_share(format_share(share))
    assert (again, type(again)) == (share, type(share))


@pytest.mark.parametrize("value", [-1, "1", True, None, "lots", Written("0.5")])
def test_what_is_no_share(value: object) -> None:
    with pytest.raises(ValueError, match="must be a count such as 1 or a ratio such as 25%"):
        parse_share(value)
