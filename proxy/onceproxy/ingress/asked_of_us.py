"""Requests that end here because they ask about this proxy: OPTIONS and TRACE that may go no further."""

from __future__ import annotations

from email.utils import formatdate

from aiohttp import web

from onceproxy.core.credential import carries_credential
from onceproxy.core.messages import RawHeaders
from onceproxy.ingress.incoming import raw_headers, raw_target
from onceproxy.ingress.responses import RawResponse

_METHODS = b"CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE"


def answer_ourselves(request: web.BaseRequest) -> RawResponse:
    """Return the answer of the final recipient (RFC 9110 §9.3.7, §9.3.8)."""
    if request.method == "TRACE":
        return _ours(((b"Content-Type", b"message/http"),), _reflected(request))
    return _ours(((b"Allow", _METHODS),), b"")


def _ours(headers: RawHeaders, content: bytes) -> RawResponse:
    date = formatdate(usegmt=True).encode("ascii")
    lines: RawHeaders = ((b"Date", date), (b"Proxy-Status", b"onceproxy"), *headers)
    return RawResponse(200, b"OK", lines, content, len(content))


def _reflected(request: web.BaseRequest) -> bytes:
    """Return the request as it came, without what it proves who sends it with."""
    line = b"TRACE %s HTTP/%d.%d\r\n" % (raw_target(request), *request.version)
    lines = [b"%s: %s\r\n" % (name, value) for name, value in raw_headers(request) if not _secret(name)]
    return line + b"".join(lines) + b"\r\n"


def _secret(name: bytes) -> bool:
    return carries_credential(name) or name.lower() == b"proxy-authorization"
