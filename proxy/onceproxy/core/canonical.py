"""What canonical forms are made of: when two spellings of a request ask for the same thing.

Too coarse a form swallows an action that was wanted; too fine a one lets a duplicate through. So each rule
is one that a standard guarantees, and whatever does not fit its rule is compared by its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from onceproxy.core.messages import RawHeaders, header_values

CANONICAL_VERSION = 1
"""Part of every request_id: a change of the rules must not silently turn one action into two."""

MAX_VALUES = 250_000
"""Values, pairs or parts that a body is taken apart into. Each costs some hundred bytes of memory while the
canonical form is made, so this many may take about 100 MB; a body with more is compared by its bytes."""

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class NotCanonical(Exception):
    """A body can't be read as what it should be, or has no form that keeps different meanings apart."""


LENGTH = 8  # bytes of a part's length
_LENGTHS = tuple(length.to_bytes(LENGTH, "big") for length in range(256))  # those of nearly all parts


def pack(parts: Iterable[bytes]) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: each behind its length (8 bytes)."""
    pieces = []
    for part in parts:
        length = len(part)
        pieces.append(_LENGTHS[length] if length < 256 else length.to_bytes(LENGTH, "big"))
        pieces.append(part)
    return b"".join(pieces)


def unpack(data: bytes) -> list[bytes] | None:
    """Take apart what ``pack`` joined; None if it is nothing of the kind."""
    parts, at = [], 0
    while at < len(data):
        start = at + 8
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data):
            return None
        parts.append(data[start:at])
    return parts


def canonical_escapes(text: bytes) -> bytes:
    """Decode escapes of unreserved characters and upper-case the hex of all others (RFC 3986 §6.2.2)."""
    return _ESCAPE.sub(_normal, text) if b"%" in text else text


def _normal(escape: re.Match[bytes]) -> bytes:
    byte = int(escape[1], 16)
    return bytes([byte]) if byte in _UNRESERVED else b"%%%02X" % byte


def media_type(headers: RawHeaders) -> str:
    """Return the media type without its parameters, in lower case; empty if absent or repeated."""
    values = header_values(headers, "content-type")
    if len(values) != 1:
        return ""
    return _essence(values[0])


@lru_cache(maxsize=256)  # there are as many as clients think of, and most send the same few
def _essence(value: bytes) -> str:
    return value.partition(b";")[0].strip().lower().decode("latin-1")
