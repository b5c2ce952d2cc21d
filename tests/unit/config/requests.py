"""Requests in the shape that the vendors' SDKs send."""

from __future__ import annotations

from urllib.parse import urlsplit

from onceproxy.core.messages import BytesBody, Origin, Request


def a_request(method: str, url: str, *headers: str, body: str = "") -> Request:
    parts = urlsplit(url)
    assert parts.hostname is not None
    return Request(
        method,
        Origin(parts.scheme, parts.hostname, parts.port or 443),
        (parts.path + (f"?{parts.query}" if parts.query else "")).encode(),
        tuple((name.encode(), value.encode()) for name, value in (line.split(": ", 1) for line in headers)),
        BytesBody(body.encode()),
    )
