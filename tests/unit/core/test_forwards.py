"""Max-Forwards: when it counts, what it may say, and how it goes on."""

from __future__ import annotations

import pytest

from onceproxy.core.forwards import BadForwards, forwards_left, one_less
from onceproxy.core.messages import RawHeaders


@pytest.mark.parametrize(
    ("method", "value", "left"),
    [("TRACE", b"0", 0), ("OPTIONS", b"007", 7), ("GET", b"0", None), ("POST", b"nonsense", None)],
)
def test_it_counts_for_trace_and_options(method: str, value: bytes, left: int | None) -> None:
    assert forwards_left(method, ((b"max-FORWARDS", value),)) == left


def test_without_it_nothing_is_counted() -> None:
    assert forwards_left("TRACE", ((b"Host", b"a"),)) is None


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1.0", b"1, 1", b"x", b"1" * 10, b"1 1"])
def test_what_is_no_number(value: bytes) -> None:
    with pytest.raises(BadForwards):
        forwards_left("OPTIONS", ((b"Max-Forwards", value),))


def test_it_may_be_there_once() -> None:
    with pytest.raises(BadForwards):
        forwards_left("OPTIONS", ((b"Max-Forwards", b"1"), (b"Max-Forwards", b"1")))


def test_it_goes_on_as_one_less() -> None:
    headers: RawHeaders = ((b"A", b"1"), (b"max-forwards", b"10"), (b"B", b"10"))

    assert one_less(headers, 10) == ((b"A", b"1"), (b"max-forwards", b"9"), (b"B", b"10"))
