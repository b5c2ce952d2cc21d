"""The writer of response heads: a receipt that was made before its checks were can't split a response."""

from __future__ import annotations

import pytest

from onceproxy.core.messages import RawHeaders
from onceproxy.ingress.responses import head_bytes


def test_a_head() -> None:
    assert head_bytes(201, b"", ((b"x-A", b"caf\xe9"),)) == b"HTTP/1.1 201 \r\nx-A: caf\xe9\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [((b"X-A", b"1\r\nSet-Cookie: a=1"),), ((b"X-A\n", b"1"),), ((b"X-A", b"\0"),), ((b"X", b"a\rb"),)],
)
def test_a_head_can_not_be_ended_early(headers: RawHeaders) -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        head_bytes(200, b"OK", headers)


@pytest.mark.parametrize("reason", [b"OK\r\nX-A: 1", b"OK\n", b"\0"])
def test_nor_can_its_first_line(reason: bytes) -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        head_bytes(200, reason, ())
