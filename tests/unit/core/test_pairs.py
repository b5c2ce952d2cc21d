"""Queries and forms: order that means nothing, and order that does."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.canonical import MAX_VALUES, NotCanonical
from onceproxy.core.pairs import chosen_names, ordered, split_pairs
from onceproxy.core.rules import ALL, Selection


def form_of(text: bytes) -> tuple[bytes, ...]:
    return ordered(split_pairs(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"a=1&b=2", b"b=2&a=1"),
        (b"to=a&to=b", b"to=b&to=a"),
        (b"a=%7e", b"a=~"),
        (b"a=1&&b=2&", b"a=1&b=2"),
        (b"i[][p]=1&i[][q]=2&z=3", b"z=3&i[][p]=1&i[][q]=2"),
    ],
)
def test_the_same(one: bytes, other: bytes) -> None:
    assert form_of(one) == form_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"a=1", b"a=1&a=1"),
        (b"a", b"a="),
        (b"a=+", b"a=%20"),
        (b"a=b%26c=d", b"a=b&c=d"),
        # Two orders for other amounts: sorted by value they would be one.
        (
            b"i[][p]=apple&i[][n]=1&i[][p]=pear&i[][n]=2",
            b"i[][p]=apple&i[][n]=2&i[][p]=pear&i[][n]=1",
        ),
        # The amount is the apple's in one, the pear's in the other.
        (b"i[][p]=apple&i[][n]=2&i[][p]=pear", b"i[][p]=apple&i[][p]=pear&i[][n]=2"),
        (b"i%5B%5D=1&i%5B%5D=2", b"i%5B%5D=2&i%5B%5D=1"),
    ],
)
def test_not_the_same(one: bytes, other: bytes) -> None:
    assert form_of(one) != form_of(other)


names = st.sampled_from([b"a", b"b", b"a-b", b"c%5B%5D", b"d"])
values = st.binary(max_size=3).map(lambda value: value.hex().encode())


@given(st.lists(st.tuples(names, values)), st.integers())
def test_shuffling_pairs_of_other_names_changes_nothing(pairs: list[tuple[bytes, bytes]], seed: int) -> None:
    written = [b"=".join(pair) for pair in pairs]
    mixed = [pair for pair in written if not pair.startswith(b"c")]
    random.Random(seed).shuffle(mixed)
    arrays = [pair for pair in written if pair.startswith(b"c")]
    assert form_of(b"&".join(arrays + mixed)) == form_of(b"&".join(written))


def test_names_are_compared_decoded() -> None:
    there = [pair.name for pair in split_pairs(b"m%5Btrace%5D=1&%6eonce=2&a+b=3&caf%C3%A9=4")]
    assert there == [b"m[trace]", b"nonce", b"a b", "café".encode()]
    rules = Selection(exclude=("m[trace]", "nonce", "café"))
    assert chosen_names(there, rules) == {b"a b"}


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        (ALL, {b"id", b"n"}),
        (Selection(include=("id",)), {b"id"}),
        (Selection(include=("id", "n"), exclude=("n",)), {b"id"}),
        (Selection(include=("other",)), {b"id", b"n"}),
        (Selection(include=("id", "other")), {b"id", b"n"}),
        (Selection(include=("other",), exclude=("n",)), {b"id"}),
    ],
)
def test_an_include_that_misses_leaves_all(rules: Selection, chosen: set[bytes]) -> None:
    assert chosen_names([b"id", b"n"], rules) == chosen


def test_a_body_of_nothing_but_separators_is_not_taken_apart() -> None:
    with pytest.raises(NotCanonical):
        split_pairs(b"&" * (MAX_VALUES + 1))
