"""Hop-by-hop headers stay; everything else goes on as it came."""

from __future__ import annotations

from onceproxy.core.hygiene import connection_options, end_to_end, forwardable, storable


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
