"""JSON values, and ways to write them that mean the same."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "id", "é", "e\u0301", "\u2028", "\U0001f600", "\0", '"\\/', "k" * 40]
)
NUMBERS = (
    st.integers(-(10**25), 10**25)
    | st.integers(-100, 100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -0.0, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 2**53, 2**53 + 1])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def spelled(value: Any, chance: random.Random) -> str:
    """Write a value in one of the ways that JSON allows."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return '"' + "".join(_character(one, chance) for one in value) + '"'
    if isinstance(value, int):
        return _integer(value, chance)
    if isinstance(value, float):
        return chance.choice([repr(value), repr(value).replace("e", "E")])
    if isinstance(value, list):
        return f"[{_space(chance)}{_joined([spelled(one, chance) for one in value], chance)}]"
    members = [
        f"{spelled(name, chance)}{_space(chance)}:{_space(chance)}{spelled(one, chance)}"
        for name, one in chance.sample(list(value.items()), len(value))
    ]
    return f"{{{_space(chance)}{_joined(members, chance)}}}"


def _joined(pieces: list[str], chance: random.Random) -> str:
    return f"{_space(chance)},{_space(chance)}".join(pieces) + _space(chance)


def _space(chance: random.Random) -> str:
    return chance.choice(["", "", " ", "\n", "\t", "\r\n"])


def _integer(value: int, chance: random.Random) -> str:
    ways = [str(value)]
    if value % 10 == 0 and value:
        ways.append(f"{value // 10}e1")
    if abs(value) < 2**53:
        ways.append(f"{value}.0")
    return chance.choice(ways)


def _character(one: str, chance: random.Random) -> str:
    escaped = "".join(
        f"\\u{int.from_bytes(one.encode('utf-16-be')[at : at + 2], 'big'):04x}"
        for at in range(0, len(one.encode("utf-16-be")), 2)
    )
    if one in '"\\' or ord(one) < 0x20:
        return chance.choice([escaped, escaped.upper().replace("\\U", "\\u"), json.dumps(one)[1:-1]])
    return chance.choice([one, one, escaped])
