"""Which header lines go on, which stay here, which are never stored (RFC 9110 §7.6.1)."""

from __future__ import annotations

import re

from onceproxy.core.messages import RawHeaders, Response, has_none, header_values, may_have_body

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

# Made anew by the writer of the forwarded message, or answered by us.
_REWRITTEN = frozenset({b"host", b"content-length", b"expect"})
_STAYING = HOP_BY_HOP | _REWRITTEN

OUR_PREFIX = b"onceproxy-"

_NEVER_IN_A_LINE = (b"\r", b"\n", b"\0")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2

ABOUT_THE_BYTES = frozenset(
    {b"content-length", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"etag"}
)
"""Headers that are wrong of a body in which something was changed."""

# Naming one of these in Connection asks us to strip what protects the request: an attack, not an option.
UNSTRIPPABLE = frozenset(
    {b"authorization", b"content-length", b"content-type", b"cookie", b"host", b"idempotency-key"}
)

# A receipt that is replayed must not log a stranger in, nor ask for a password that was already given.
_COOKIES = frozenset({b"set-cookie", b"set-cookie2"})
# Nor may it move one client of MCP into the session of another.
NEVER_STORED = _COOKIES | {b"www-authenticate", b"mcp-session-id"}
_NEVER_BUT_COOKIES = NEVER_STORED - _COOKIES


def connection_options(headers: RawHeaders) -> frozenset[bytes]:
    """Return the lower-case names that the Connection headers nominate (RFC 9110 §7.6.1)."""
    values = header_values(headers, "connection")
    if not values:
        return frozenset()
    return frozenset(token.strip().lower() for token in b",".join(values).split(b",") if token.strip())


def end_to_end(headers: RawHeaders) -> RawHeaders:
    """Return the headers without the hop-by-hop ones and those that Connection nominates.

    ``Content-Length`` stays, nominated or not: a message whose length could be stripped could be split.
    """
    if has_none(headers, HOP_BY_HOP):
        return headers
    dropped = _nominated(headers)
    return tuple([line for line in headers if line[0].lower() not in dropped])


def _nominated(headers: RawHeaders) -> frozenset[bytes]:
    """Return the names that do not go on."""
    options = connection_options(headers) - {b"content-length"}
    return HOP_BY_HOP | options if options else HOP_BY_HOP


def forwardable(headers: RawHeaders) -> RawHeaders:
    """Return the headers of a client's request that go upstream unchanged.

    Besides the hop-by-hop ones, those that the writer makes anew and those that speak to us are left out.
    """
    options = connection_options(headers)
    dropped = _STAYING if not options else _STAYING | options
    return tuple(
        [
            line
            for line in headers
            if (name := line[0].lower()) not in dropped and not name.startswith(OUR_PREFIX)
        ]
    )


def not_ours(headers: RawHeaders) -> RawHeaders:
    """Return a response's headers without those in which only we speak: an upstream's would be believed."""
    return tuple([line for line in headers if not line[0].lower().startswith(OUR_PREFIX)])


def storable(headers: RawHeaders, *, keep_cookies: bool = False) -> RawHeaders:
    """Return the headers of a response that may be kept in a receipt."""
    dropped = _NEVER_BUT_COOKIES if keep_cookies else NEVER_STORED
    if has_none(headers, dropped):
        return headers
    return tuple([line for line in headers if line[0].lower() not in dropped])


def replayable(response: Response, method: str) -> bool:
    """Say whether a stored response to ``method`` can be given again without ending where it should not.

    What was stored came through our own parser, and says nothing about how it is framed but its length. If
    it does now, somebody has changed it, and a client would take a part of it for another response.
    """
    lines = response.headers
    if any(bad in response.reason for bad in _NEVER_IN_A_LINE) or end_to_end(lines) != lines:
        return False
    if any(
        not _NAME.fullmatch(name) or any(bad in value for bad in _NEVER_IN_A_LINE) for name, value in lines
    ):
        return False
    lengths = header_values(lines, "content-length")
    framed = may_have_body(method, response.status)
    return not framed or all(value == b"%d" % response.body.size for value in lengths)
