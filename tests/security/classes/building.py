"""The pieces that hostile inputs are made of."""

from __future__ import annotations

from collections.abc import Mapping

from security.hostile import End, Expected, Hostile, Sent

HOST = b"Host: @host@\r\n"
HIDDEN = b"GET @base@/@2@ HTTP/1.1\r\nHost: @host@\r\n\r\n"
"""A second request: what smuggling wants an upstream to see."""

HELLO = b"5\r\nhello\r\n0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

REFUSED = Expected(End.REFUSED)
UNSUPPORTED = Expected(End.REFUSED, status=(501,))
CUT = Expected(End.CUT)


def line(
    lines: bytes = b"",
    body: bytes = b"",
    *,
    method: bytes = b"POST",
    target: bytes = b"@base@/@1@",
    version: bytes = b"HTTP/1.1",
    host: bytes = HOST,
) -> bytes:
    """A request whose header lines are given as they are, each with its end."""
    return method + b" " + target + b" " + version + b"\r\n" + host + lines + b"\r\n" + body


def chunked(body: bytes, lines: bytes = b"") -> bytes:
    """A POST with a chunked body, as it is given."""
    return line(lines + CHUNKED, body)


def good(mark: int, body: bytes = b"x") -> bytes:
    """A POST as it should be."""
    return line(b"Content-Length: %d\r\n" % len(body), body, target=b"@base@/@%d@" % mark)


def sent(
    body: str = "",
    *,
    method: str = "POST",
    end: End = End.ANSWERED,
    has: tuple[str, ...] = (),
    lacks: tuple[str, ...] = (),
    target: str = "",
) -> Expected:
    """One request goes upstream."""
    return Expected(end, (Sent("1", method, body, target, has, lacks),))


def each(expected: Expected, inputs: Mapping[str, bytes], **otherwise: Expected) -> tuple[Hostile, ...]:
    """Inputs of which the same is expected."""
    return tuple(Hostile(name, raw, expected, otherwise) for name, raw in inputs.items())
