"""Fingerprints of arguments: the same for the same, another for another, and none that changes by itself."""

from __future__ import annotations

import dataclasses
import inspect
import math
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from onceproxy.functions.arguments import bound_arguments, fingerprint


def digest(value: Any) -> bytes:
    return fingerprint("pay", {"order": value})


@dataclasses.dataclass
class Mail:
    to: str


@dataclasses.dataclass
class Text:
    to: str


class Order(BaseModel):
    id: str
    tags: set[str] = set()
    by: Mail | Text | None = None


class Colour(Enum):
    RED = "red"


DIFFERENT = [
    *(None, True, 1, "1", 1.5, "None", "", [], {}, [1], {"a": 1}, {"a": "1"}),
    *(2**60, str(2**60), 2**60 + 1, -(2**60), math.inf, -math.inf, {"$int": str(2**60)}),
    *({1, 2}, [1, 2], b"x", "x", {"$bytes": "eA=="}, {"$set": [1, 2]}, {"$$set": [1, 2]}),
    *(UUID(int=1), Decimal("1"), Decimal("1.0"), date(2026, 1, 1), datetime(2026, 1, 1), time(1)),
    *(datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=1), timedelta(days=1), Path("x")),
    *(Mail("a"), Text("a"), Mail("b"), Order(id="a"), Order(id="b"), {"to": "a"}),
    *(Order(id="a", by=Mail("a")), Order(id="a", by=Text("a"))),
]


def test_different_arguments_have_different_fingerprints() -> None:
    for one, other in combinations(DIFFERENT, 2):
        assert digest(one) != digest(other), (one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1, 2], (1, 2)),
        (1, 1.0),
        ({"x", "y"}, frozenset({"y", "x"})),
        (Colour.RED, "red"),
        (b"x", bytearray(b"x")),
        (Order(id="a", tags={"x", "y"}), Order(id="a", tags={"y", "x"})),
    ],
)
def test_the_same_said_otherwise_has_the_same_fingerprint(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


EXACT = st.integers(-(2**53) + 1, 2**53 - 1)  # beyond, an integer has a form of its own, which no float has
LEAVES = (
    st.none() | st.booleans() | EXACT | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
)
NAMES = st.sampled_from(["a", "$a", "$set", "$int"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=5,
)


@given(JSON, JSON)
def test_of_any_two_values_only_equal_ones_have_the_same_fingerprint(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (strictly(one) == strictly(other))


def strictly(value: Any) -> Any:
    """A value in which True is not 1, as it is to Python and is not to JSON."""
    match value:
        case bool():
            return ("bool", value)
        case list():
            return [strictly(item) for item in value]
        case dict():
            return {key: strictly(item) for key, item in value.items()}
    return value


def test_the_function_is_part_of_it() -> None:
    assert fingerprint("pay", {"order": 1}) != fingerprint("refund", {"order": 1})


def test_defaults_are_part_of_it() -> None:
    def pay(order: str, amount: int = 3, *more: int, **named: int) -> None: ...

    signature = inspect.signature(pay)
    short = bound_arguments(signature, ("o",), {})
    assert short == bound_arguments(signature, (), {"amount": 3, "order": "o"})
    assert fingerprint("pay", short) != fingerprint("pay", bound_arguments(signature, ("o",), {"x": 1}))


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (object(), "'order'"),
        ([1, {"a": object()}], r"order\[1\]\['a'\]"),
        ((number for number in range(3)), "generator"),
        ({1: "a"}, "key of type int"),
        ("\ud800", "'order'"),
        (print, "builtin_function"),
        (Mail, "type"),
    ],
)
def test_what_has_no_stable_form_is_refused_and_named(value: Any, where: str) -> None:
    with pytest.raises(TypeError, match=where) as caught:
        digest(value)
    assert "exclude=('order',)" in str(caught.value)


def test_what_is_in_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="in itself"):
        digest(loop)


def test_a_refused_generator_is_not_used_up() -> None:
    numbers = iter([1, 2])
    with pytest.raises(TypeError):
        digest(numbers)
    assert list(numbers) == [1, 2]


def test_it_is_the_same_in_another_process() -> None:
    program = (
        "from onceproxy.functions.arguments import fingerprint as f\n"
        "print(f('pay', {'tags': {'a', 'b', 'c', 'd', 'e'}, 'n': {'x': 1.5, 'y': None}}).hex())"
    )
    here = fingerprint("pay", {"n": {"y": None, "x": 1.5}, "tags": {"e", "d", "c", "b", "a"}})
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here.hex()
