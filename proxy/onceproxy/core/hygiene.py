"""Which header lines go on, which stay here, which are never stored (RFC 9110 §7.6.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

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


class _Names(dict[bytes, bool]):
    """Whether the lines of a header go on, by its name as it is written: nearly all are written alike.

    ``goes_on`` says it of a name in lower case.
    """

    def __init__(self, goes_on: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._goes_on = goes_on

    def __missing__(self, name: bytes) -> bool:
        said = self._goes_on(name.lower())
        if len(self) < _NAMES and len(name) <= _LONGEST:
            self[name] = said
        return said


_NAMES, _LONGEST = 1_000, 64  # that are remembered, and bytes that such a one may have
_END_TO_END = _Names(lambda name: name not in HOP_BY_HOP)
_FORWARDABLE = _Names(lambda name: name not in _STAYING and not name.startswith(OUR_PREFIX))
_NOT_OURS = _Names(lambda name: not name.startswith(OUR_PREFIX))

_NO_OPTIONS: frozenset[bytes] = frozenset()
_KEEP_ALIVE = frozenset({b"keep-alive"})  # names what does not go on anyway

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
    return _options(b",".join(values)) if values else _NO_OPTIONS


@lru_cache(maxsize=128)  # nearly all say the same
def _options(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip().lower() for token in value.split(b",") if token.strip())


def end_to_end(headers: RawHeaders) -> RawHeaders:
    """Return the headers without the hop-by-hop ones and those that Connection nominates.

    ``Content-Length`` stays, nominated or not: a message whose length could be stripped could be split.
    """
    if has_none(headers, HOP_BY_HOP):
        return headers
    options = connection_options(headers)
    if not options or options == _KEEP_ALIVE:
        return tuple([line for line in headers if _END_TO_END[line[0]]])
    dropped = HOP_BY_HOP | (options - {b"content-length"})
    return tuple([line for line in headers if line[0].lower() not in dropped])


def forwardable(headers: RawHeaders) -> RawHeaders:
    """Return the headers of a client's request that go upstream unchanged.

    Besides the hop-by-hop ones, those that the writer makes anew and those that speak to us are left out.
    """
    options = connection_options(headers)
    if not options or options == _KEEP_ALIVE:
        return tuple([line for line in headers if _FORWARDABLE[line[0]]])
    dropped = _STAYING | options
    return tuple([line for line in headers if _FORWARDABLE[line[0]] and line[0].lower() not in dropped])


def not_ours(headers: RawHeaders) -> RawHeaders:
    """Return a response's headers without those in which only we speak: an upstream's would be believed."""
    return tuple([line for line in headers if _NOT_OURS[line[0]]])


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
