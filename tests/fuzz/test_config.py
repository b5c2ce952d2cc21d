"""The configuration's loader: settings, or what is wrong, each with its place; never anything else."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from fuzz.effort import effort
from onceproxy.config.load import ConfigError, load
from onceproxy.config.model import every_setting

EXAMPLE = Path("config/onceproxy.example.yaml").read_text()
LINES = EXAMPLE.splitlines()
KEYS = [key for key, _ in every_setting()]
WORDS = st.sampled_from(
    [
        "",
        "~",
        "true",
        "-1",
        "0",
        "1e400",
        "9" * 400,
        "10s",
        "1KiB",
        "999999999999999999GiB",
        "-5s",
        "1.5h",
        "nan",
        "*",
        "&a",
        "*a",
        "!!python/object:x",
        "[",
        "]",
        "{",
        "}",
        ":",
        "- ",
        "? ",
        "|",
        ">",
        "\t",
        "%",
        "@",
        "`",
        '"',
        "'",
        "${X}",
        "${",
        "${X",
        "$",
        "http://",
        "https://a b",
        "postgresql://",
        "127.0.0.1:1",
        "[::1]:99999",
        ":80",
        "/",
        "$.a",
        "$..[?@.a]",
        "$[",
        "a/**/b",
        "**",
        "[!",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "0x1f",
        "1_000",
        "2026-01-01",
        "<<: *a",
        "--- ",
        "...",
        "#",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def _loads(text: bytes, environ: dict[str, str] | None = None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "onceproxy.yaml"
        file.write_bytes(text)
        for problem in _problems(file, environ or {}):
            place = re.match(rf"{re.escape(str(file))}:(\d+): \S", problem)
            assert place is not None or problem.startswith(f"{file}: and "), problem
            last = text.count(b"\n") + text.count(b"\r") + 2
            assert place is None or 1 <= int(place[1]) <= last, problem


def _problems(file: Path, environ: dict[str, str]) -> list[str]:
    try:
        load(file, environ=environ)
    except ConfigError as error:
        return error.problems or ["nothing is said"]
    return []


@effort(60)
@given(
    st.lists(
        WORDS | st.sampled_from(LINES) | st.sampled_from([".".join(key) for key in KEYS]), max_size=20
    ).map(" ".join),
    st.sampled_from(["\n", "\r\n", "\n  "]),
)
def test_any_text(text: str, end: str) -> None:
    _loads(text.replace(" ", end, 3).encode("utf-8"))


@effort(60)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    _loads(data)


@effort(100)
@given(st.lists(st.tuples(st.sampled_from(KEYS), VALUES), min_size=1, max_size=4))
def test_any_value_of_any_setting(chosen: list[tuple[tuple[str, ...], Any]]) -> None:
    values: dict[str, Any] = {"version": 1}
    for key, value in chosen:
        _put(values, key, value)
    _loads(yaml.safe_dump(values, allow_unicode=True).encode("utf-8", "surrogatepass"), {"X": "1"})


@effort(80)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1), st.sampled_from(["drop", "twice", "indent", "cut"]) | WORDS
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_change_of_the_example(changes: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for at, change in changes:
        line = lines[at]
        bare = line.removeprefix("#").removeprefix(" ")
        lines[at] = {
            "drop": "",
            "twice": f"{bare}\n{bare}",
            "indent": f"  {bare}",
            "cut": bare[: len(bare) // 2],
        }.get(change, bare.partition(":")[0] + ": " + change)
    _loads("\n".join(lines).encode())


def _put(values: Any, key: tuple[str, ...], value: Any) -> None:
    """Put a value at a path; ``[]`` in it is the first of a list."""
    *way, last = key
    for name, following in zip(way, key[1:], strict=True):
        inner: Any = [] if following == "[]" else {}
        if name == "[]":
            if not values:
                values.append(inner)
            values = values[0]
        else:
            values = values.setdefault(name, inner)
        if not isinstance(values, dict | list):
            return
    if isinstance(values, list):
        values[:] = [value]
    elif last != "[]":
        values[last] = value
