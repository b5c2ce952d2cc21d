"""Canonical forms: when two spellings of a request ask for the same thing.

Too coarse a form swallows an action that was wanted; too fine a one lets a duplicate through. So each rule
here is one that a standard guarantees, and whatever does not fit its rule is compared by its bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import rfc8785

from onceproxy.core.messages import RawHeaders, header_values

CANONICAL_VERSION = 1
"""Part of every request_id: a change of these rules must not silently turn one action into two."""

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class NotCanonical(Exception):
    """A document has no canonical form that keeps different meanings apart."""


def pack(parts: Iterable[bytes]) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: each behind its length (8 bytes)."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def canonical_escapes(text: bytes) -> bytes:
    """Decode escapes of unreserved characters and upper-case the hex of all others (RFC 3986 §6.2.2)."""

    def normal(match: re.Match[bytes]) -> bytes:
        byte = int(match[1], 16)
        return bytes([byte]) if byte in _UNRESERVED else b"%%%02X" % byte

    return _ESCAPE.sub(normal, text)


def canonical_pairs(text: bytes) -> bytes:
    """Return a query or a form as its pairs, sorted by name and value, each behind its length.

    ``a`` and ``a=`` stay different, and so do ``+`` and ``%20``: what they mean is the upstream's affair.
    """
    return pack(sorted(canonical_escapes(pair) for pair in text.split(b"&") if pair))


def canonical_json(data: bytes) -> bytes:
    """Return a JSON text in the form of RFC 8785 (JCS).

    Raises:
        NotCanonical: it is no JSON in UTF-8, repeats a name, nests too deep, or holds a number or a string
            that RFC 8785 could not tell from another one.
    """
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_float=_exact_float,
            parse_constant=_no_constant,
        )
        return rfc8785.dumps(document)
    except RecursionError:
        raise NotCanonical("nested too deep") from None
    except (ValueError, rfc8785.CanonicalizationError) as error:
        # ValueError: not JSON, not UTF-8, a lone surrogate, or an integer of thousands of digits.
        raise NotCanonical(str(error)) from None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotCanonical("a name is there twice")  # which one counts differs between parsers
    return members


def _exact_float(text: str) -> float:
    number = float(text)
    try:
        # The shortest text of the double must be the number that was written: else two numbers share it.
        exact = math.isfinite(number) and Decimal(repr(number)) == Decimal(text)
    except InvalidOperation:  # an exponent that even Decimal does not hold
        exact = False
    if not exact:
        raise NotCanonical(f"{text[:40]} is no IEEE 754 double")
    return number


def _no_constant(text: str) -> float:
    raise NotCanonical(f"{text} is not JSON")


def media_type(headers: RawHeaders) -> str:
    """Return the media type without its parameters, in lower case; empty if absent or repeated."""
    values = header_values(headers, "content-type")
    if len(values) != 1:
        return ""
    return values[0].partition(b";")[0].strip().lower().decode("latin-1")


def canonical_body(headers: RawHeaders, body: bytes) -> tuple[bytes, ...]:
    """Return a body's canonical parts: how it was read, its media type, and its canonical bytes.

    JSON by RFC 8785 and forms as sorted pairs; anything else, anything with a content coding, and JSON
    without a safe canonical form as the bytes that they are.
    """
    kind = media_type(headers)
    coded = [value for value in header_values(headers, "content-encoding") if value.lower() != b"identity"]
    if not coded:
        if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
            try:
                return (b"json", kind.encode("latin-1"), canonical_json(body))
            except NotCanonical:
                pass  # by its bytes: too fine at worst, never too coarse
        elif kind == "application/x-www-form-urlencoded":
            return (b"form", kind.encode("latin-1"), canonical_pairs(body))
    return (b"bytes", kind.encode("latin-1"), pack(coded), body)
