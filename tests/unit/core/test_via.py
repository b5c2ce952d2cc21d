"""Via: the line that is added, and who is found in those that are there."""

from __future__ import annotations

import pytest

from onceproxy.core.messages import RawHeaders
from onceproxy.core.via import via_line, went_through


def test_the_line() -> None:
    assert via_line("1.0", b"onceproxy-1") == ((b"Via", b"1.0 onceproxy-1"),)


@pytest.mark.parametrize(
    "headers",
    [
        via_line("1.1", b"us"),
        ((b"via", b"1.1 US"),),
        ((b"Via", b"1.0 fred, 1.1 us (a comment)"),),
        ((b"Via", b"1.0 fred"), (b"VIA", b"HTTP/1.1 us,1.1 p.example:80")),
        ((b"Via", b"1.1\tus"),),
    ],
)
def test_a_message_that_went_through_us(headers: RawHeaders) -> None:
    assert went_through(headers, b"us")


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"Via", b""),),
        ((b"Via", b"us"),),
        ((b"Via", b"1.1 us2, 1.1 us.example"),),
        ((b"Via", b"1.1 fred (1.1 us)"),),
        ((b"X-Via", b"1.1 us"),),
    ],
)
def test_one_that_did_not(headers: RawHeaders) -> None:
    assert not went_through(headers, b"us")
