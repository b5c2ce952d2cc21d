"""Hop-by-hop headers stay; everything else goes on as it came."""

from __future__ import annotations

import pytest

from onceproxy.core import hygiene
from onceproxy.core.hygiene import connection_options, end_to_end, forwardable, replayable, storable
from onceproxy.core.messages import BytesBody, Response


def test_hop_by_hop_and_nominated_headers_stay() -> None:
    headers = (
        (b"X-B", b"1"),
        (b"Connection", b"close, X-Drop"),
        (b"connection", b"X-Also , Content-Length"),
        (b"x-drop", b"1"),
        (b"X-ALSO", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Authorization", b"Basic x"),
        (b"TE", b"trailers"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"Content-Length", b"3"),
        (b"x-b", b"2"),
    )
    assert end_to_end(headers) == ((b"X-B", b"1"), (b"Content-Length", b"3"), (b"x-b", b"2"))
    assert connection_options(headers) == {b"close", b"x-drop", b"x-also", b"content-length"}


@pytest.mark.parametrize(
    ("nominated", "left"),
    [
        (b"close", ((b"X-A", b"1"), (b"Content-Length", b"3"))),
        (b"Keep-Alive", ((b"X-A", b"1"), (b"CLOSE", b"2"), (b"Content-Length", b"3"))),
        (b"x-a, keep-alive", ((b"CLOSE", b"2"), (b"Content-Length", b"3"))),
        (b" , ", ((b"X-A", b"1"), (b"CLOSE", b"2"), (b"Content-Length", b"3"))),
    ],
)
def test_a_line_stays_that_is_called_like_an_option(
    nominated: bytes, left: tuple[tuple[bytes, bytes], ...]
) -> None:
    headers = (
        (b"X-A", b"1"),
        (b"CLOSE", b"2"),
        (b"KEEP-ALIVE", b"timeout=5"),
        (b"Connection", nominated),
        (b"Content-Length", b"3"),
    )

    for _ in range(2):  # the names are known the second time
        assert end_to_end(headers) == left
        assert forwardable(headers) == left[:-1]


def test_no_more_names_are_remembered_than_there_is_room_for() -> None:
    names = [b"X-%d" % number for number in range(3000)] + [b"x" * 5000]
    headers = tuple((name, b"1") for name in names)

    assert forwardable(headers) == headers
    assert len(hygiene._FORWARDABLE) <= hygiene._NAMES
    assert max(map(len, hygiene._FORWARDABLE)) <= hygiene._LONGEST


def test_what_speaks_to_us_is_not_forwarded() -> None:
    headers = (
        (b"Host", b"a"),
        (b"Expect", b"100-continue"),
        (b"Content-Length", b"1"),
        (b"Onceproxy-Action", b"2"),
        (b"Idempotency-Key", b' "k" '),
    )
    assert forwardable(headers) == ((b"Idempotency-Key", b' "k" '),)


def test_a_receipt_logs_nobody_in() -> None:
    headers = ((b"Set-Cookie", b"s=1"), (b"ETag", b'"1"'), (b"WWW-Authenticate", b"Basic"))
    assert storable(headers) == ((b"ETag", b'"1"'),)


@pytest.mark.parametrize(
    ("status", "reason", "line", "method", "fine"),
    [
        (201, b"Made", (b"X-Odd", b"caf\xe9, a\tb"), "POST", True),
        (201, b"Made", (b"content-length", b"4"), "POST", True),
        (201, b"Made", (b"Content-Length", b"99"), "HEAD", True),
        (304, b"", (b"Content-Length", b"99"), "PUT", True),
        (201, b"Made\r\nSet-Cookie: x", (b"X", b"1"), "POST", False),
        (201, b"Made", (b"X", b"1\r\n\r\nHTTP/1.1 200 OK"), "POST", False),
        (201, b"Made", (b"X", b"1\nY: 2"), "POST", False),
        (201, b"Made", (b"X\0", b"1"), "POST", False),
        (201, b"Made", (b"X: 1\r\nY", b"1"), "POST", False),
        (201, b"Made", (b"", b"1"), "POST", False),
        (201, b"Made", (b"Content-Length", b"5"), "POST", False),
        (201, b"Made", (b"Content-Length", b"+4"), "POST", False),
        (201, b"Made", (b"Transfer-Encoding", b"chunked"), "POST", False),
        (201, b"Made", (b"Connection", b"X"), "POST", False),
    ],
)
def test_what_can_be_replayed(
    status: int, reason: bytes, line: tuple[bytes, bytes], method: str, *, fine: bool
) -> None:
    assert replayable(Response(status, reason, (line,), BytesBody(b"body")), method) is fine
