"""Durations and sizes: what is taken, what is refused, and the round trip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.config.units import (
    DURATIONS,
    SIZES,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("1.5s", 1.5),
        ("10m", 600),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("0", 0),
        (0, 0),
        ("0s", 0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "30", 30, 1.5, "s", "1 s", "1S", "-1s", "+1s", "1e3s", "1h30m", ".5s", "1.s", "٣s", "1s\n"),
        *("1" * 10 + "s", None, True, False, [], {}),
    ],
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"^it must be a number and its unit, as in 500ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000B", 1000),
        ("64KiB", 65_536),
        ("16MiB", 16_777_216),
        ("1GiB", 1_073_741_824),
        (1234, 1234),
        ("1234", 1234),
        (0, 0),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "64KB",
        "64kib",
        "64K",
        "1.5MiB",
        "-1",
        -1,
        1.0,
        "1 MiB",
        "٣B",
        "1\n",
        "9" * 13,
        None,
        True,
        False,
        [],
    ],
)
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match=r"^it must be a whole number of bytes"):
        parse_size(text)


@given(st.integers(0, 10**9 - 1), st.sampled_from(sorted(DURATIONS)))
def test_a_duration_survives_being_written(number: int, unit: str) -> None:
    seconds = parse_duration(f"{number}{unit}")

    assert seconds == pytest.approx(number * DURATIONS[unit])
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 10**12 - 1), st.sampled_from(sorted(SIZES)))
def test_a_size_survives_being_written(number: int, unit: str) -> None:
    size = parse_size(f"{number}{unit}")

    assert size == number * SIZES[unit]
    # What is too large for twelve digits of any unit can be no setting.
    if size < 10**12:
        assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0"),
        (0.5, "500ms"),
        (1.5, "1500ms"),
        (75.0, "75s"),
        (600.0, "10m"),
        (86_400.0, "24h"),
        (172_800.0, "2d"),
    ],
)
def test_durations_are_written_in_the_largest_whole_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
