"""Durations and sizes as people write them: `30s`, `24h`, `16MiB`."""

from __future__ import annotations

import re

DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

# Also the patterns of the JSON Schema, so plain enough for JavaScript.
DURATION_PATTERN = r"[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)|0"
SIZE_PATTERN = r"[0-9]{1,12}(B|KiB|MiB|GiB)?"

_DURATION = re.compile(DURATION_PATTERN)
_SIZE = re.compile(SIZE_PATTERN)
_NUMBER = re.compile(r"[0-9.]+")


def parse_duration(text: object) -> float:
    """Return the seconds of ``500ms``, ``30s``, ``10m``, ``24h`` or ``30d``; a bare 0 is 0.

    Raises:
        ValueError: it is none of these.
    """
    if text == 0 and not isinstance(text, bool):
        return 0.0
    number, unit = _split(_DURATION, text)
    if not number:
        raise ValueError("it must be a number and its unit, as in 500ms, 30s, 10m, 24h or 30d")
    return float(number) * DURATIONS[unit or "s"]


def format_duration(seconds: float) -> str:
    """Return a duration in the largest unit that leaves a whole number, else in ms; a single day is 24h."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % DURATIONS[unit] == 0 and (unit, seconds) != ("d", DURATIONS["d"]):
            return f"{seconds / DURATIONS[unit]:.0f}{unit}"
    return f"{seconds * 1_000:.3f}".rstrip("0").rstrip(".") + "ms" if seconds else "0"


def parse_size(text: object) -> int:
    """Return the bytes of ``64KiB``, ``16MiB``, ``1GiB``, ``1000B`` or a plain whole number.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    number, unit = _split(_SIZE, text)
    if not number:
        raise ValueError("it must be a whole number of bytes, or one with a unit, as in 64KiB, 16MiB or 1GiB")
    return int(number) * SIZES[unit or "B"]


def format_size(size: int) -> str:
    """Return a size in the largest unit that leaves a whole number."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return f"{size}B"


def _split(pattern: re.Pattern[str], text: object) -> tuple[str, str]:
    """Return number and unit; both empty if ``text`` does not match."""
    if not isinstance(text, str) or not pattern.fullmatch(text):
        return "", ""
    number = _NUMBER.match(text)
    assert number is not None
    return number[0], text[number.end() :]
