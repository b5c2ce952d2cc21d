"""Codecs: a copy gets what the first caller got, or is told that it can't."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from onceproxy.functions.codecs import (
    NotDecodable,
    NotEncodable,
    PlainJson,
    TypedJson,
    UnreadableHint,
    codec_by_hint,
    codec_of,
)


@dataclasses.dataclass
class Line:
    sku: str
    price: Decimal


class Order(BaseModel):
    id: UUID
    lines: list[Line] = []


class Express(Order):
    courier: str = "c"


def same(codec: Any, value: Any) -> bool:
    back = codec.decode(codec.encode(value))
    return type(back) is type(value) and bool(back == value)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "ä", [1, [None]], {"a": {"b": []}}, 2**70, ""])
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert same(PlainJson(), value)


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1, 2},
        {1: 2},
        b"x",
        math.nan,
        math.inf,
        object(),
        [(1,)],
        {"a": (1,)},
        Line("a", Decimal(1)),
        "\ud800",
    ],
)
def test_what_json_would_change_is_not_encoded(value: Any) -> None:
    with pytest.raises(NotEncodable):
        PlainJson().encode(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Line, Line("a", Decimal("1.50"))),
        (Order, Order(id=UUID(int=1), lines=[Line("a", Decimal(1))])),
        (Order | None, None),
        (list[Order], [Order(id=UUID(int=1))]),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (dict[int, str], {1: "a"}),
        (datetime, datetime(2026, 1, 1, tzinfo=UTC)),
        (bytes, b"x"),
        (None, None),
        (float, 1.5),
    ],
)
def test_what_a_type_says_comes_back_as_it_was(kind: Any, value: Any) -> None:
    assert same(TypedJson(kind), value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, "5"),
        (Order, Express(id=UUID(int=1))),  # the courier would be lost
        (Order, None),
        (float, math.nan),
        (list[int], (1, 2)),
        (dict[str, Any], {"a": (1, 2)}),
    ],
)
def test_what_does_not_fit_its_type_is_not_encoded(kind: Any, value: Any) -> None:
    with pytest.raises(NotEncodable):
        TypedJson(kind).encode(value)


@pytest.mark.parametrize("data", [b"", b"{", b'{"id": 1}', b'"x"'])
def test_what_is_no_result_is_not_decoded(data: bytes) -> None:
    with pytest.raises(NotDecodable):
        TypedJson(Order).decode(data)


def test_a_type_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="Give a codec"):
        codec_of(type("Handle", (), {}))


def test_the_hint_chooses_the_codec() -> None:
    def typed() -> Line: ...  # type: ignore[empty-body]  # only its hints are read

    def untyped(): ...  # type: ignore[no-untyped-def]  # that is what it is about

    def anything() -> Any: ...

    async def later() -> Line: ...  # type: ignore[empty-body]  # as above

    assert isinstance(codec_by_hint(typed), TypedJson)
    assert isinstance(codec_by_hint(later), TypedJson)
    assert isinstance(codec_by_hint(untyped), PlainJson)
    assert isinstance(codec_by_hint(anything), PlainJson)


def test_only_the_hint_of_what_is_returned_is_read() -> None:
    def pay(order: NotHere) -> int: ...  # type: ignore[empty-body, name-defined]  # noqa: F821

    def refund(order: str) -> NotHere: ...  # type: ignore[name-defined]  # noqa: F821

    assert isinstance(codec_by_hint(pay), TypedJson)
    with pytest.raises(UnreadableHint, match="NotHere"):
        codec_by_hint(refund)


def test_a_codec_is_taken_as_it_is() -> None:
    class Shout:
        content_type = "text/x-shout"

        def encode(self, value: str) -> bytes:
            return value.upper().encode()

        def decode(self, data: bytes) -> str:
            return data.decode()

    codec = Shout()
    assert codec_of(codec) is codec
