"""Keys: names, templates and functions of a call's arguments; and what is none."""

from __future__ import annotations

import inspect
from datetime import date
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from onceproxy.functions.errors import BadKey
from onceproxy.functions.keys import key_text, reader


def pay(order: Any, amount: int = 1, **more: Any) -> None: ...


SIGNATURE = inspect.signature(pay)


def key_of(expression: Any, *args: Any, **kwargs: Any) -> str:
    bound = SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    return reader(expression, SIGNATURE)(bound.arguments, args, kwargs)


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("expression", "order", "key"),
    [
        ("order", "o-1", "o-1"),
        ("order", 7, "7"),
        ("{order.id}", SimpleNamespace(id="o-1"), "o-1"),
        ("{order.id}", {"id": 5}, "5"),
        ("{order.lines.0.sku}", {"lines": [{"sku": "a"}]}, "a"),
        ("charge-{order}-{amount}", "o-1", "charge-o-1-1"),
        ("order", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("order", Decimal("1.5"), "1.5"),
        ("order", date(2026, 1, 2), "2026-01-02"),
        ("order", Colour.RED, "red"),
        ("order", ("a", 1), '["a", "1"]'),
        (lambda order, **_: order.upper(), "o-1", "O-1"),
    ],
)
def test_a_key_is_read_from_the_arguments(expression: Any, order: Any, key: str) -> None:
    assert key_of(expression, order) == key


@pytest.mark.parametrize("order", [None, "", "\ud800", True, 1.5, b"x", [], (), ("a", None), object()])
def test_what_is_no_key_is_refused(order: Any) -> None:
    with pytest.raises(BadKey):
        key_of("order", order)


def test_a_key_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadKey, match="'id'"):
        key_of("{order.id}", SimpleNamespace())
    with pytest.raises(BadKey, match="'3'"):
        key_of("{order.3}", [1])


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("oder", "there is order, amount, more"),
        ("{order.__class__}", "no place"),
        ("{order._private}", "no place"),
        ("{order.pop()}", "no place"),
        ("{order!r}", "no place"),
        ("{order", "needs its"),
        ("order}", "needs its"),
        ("", "no place"),
        ("{}", "no place"),
    ],
)
def test_what_names_nothing_is_refused_when_decorating(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        reader(expression, SIGNATURE)


def test_a_tuple_is_another_key_than_its_text() -> None:
    assert key_text(("a", "b")) != key_text(("a, b",))
