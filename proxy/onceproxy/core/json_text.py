"""JSON in the form of RFC 8785 (JCS), for documents that other parsers read the same.

In one thing it goes beyond the standard: a number that an IEEE 754 double can't hold is written exactly,
where JCS would round it. Two different 20-digit ids stay two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Any

import rfc8785

from onceproxy.core.canonical import MAX_VALUES, NotCanonical

MAX_DEPTH = 100
"""Arrays and objects inside one another. Far below what the interpreter's stack holds in whatever thread, so
that the form of a document does not depend on where it is made."""

_MAX_NUMBER = 1000  # characters; the time to read a number grows with the square of its length
_SAFE = 2**53 - 1  # up to it a double holds each integer (RFC 8785 §3.2.2.3)
_SAFE_DIGITS = (
    15  # of an integer below 2**53, and of any decimal that a double gives back as it was (DBL_DIG)
)

_Numbers = int | float | Decimal


def parse_json(data: bytes) -> Any:
    """Return the document: numbers as ``int`` or ``float`` where those are exact, else as ``Decimal``.

    Raises:
        NotCanonical: it is no JSON in UTF-8, repeats a name, nests deeper than ``MAX_DEPTH``, or holds more
            than ``MAX_VALUES`` values or a number of monstrous length.
    """
    opened = data.count(b"[") + data.count(b"{")
    if data.count(b",") + opened > MAX_VALUES:
        raise NotCanonical(f"more than {MAX_VALUES} values")
    try:
        document = _DECODER.decode(data.decode("utf-8"))  # a byte order mark is no JSON to it either
    except RecursionError:
        raise NotCanonical("nested too deep") from None
    except ValueError as error:
        raise NotCanonical(str(error)) from None
    if opened > MAX_DEPTH:
        _check_depth(document)
    return document


def canonical_json(value: Any, without: Collection[tuple[int, str | int]] = ()) -> bytes:
    """Return a parsed value in canonical form.

    ``without``: members and elements that are left out, each as the ``id()`` of its container and its name or
    index there.

    Raises:
        NotCanonical: a string holds half of a surrogate pair.
    """
    pieces: list[str] = []
    _write(value, without, pieces)
    try:
        return "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical("half of a surrogate pair") from None


def number_text(number: _Numbers) -> str:
    """Return a number as in RFC 8785 §3.2.2.3; one that it would round as its digits, ``e``, exponent."""
    if type(number) is int and -_SAFE <= number <= _SAFE:
        return str(number)
    if type(number) is float and 1e-4 <= abs(number) < 1e16:  # where Python and the standard write alike
        return repr(number).removesuffix(".0")
    if not isinstance(number, Decimal):
        return rfc8785.dumps(number).decode("ascii")
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # JSON has no infinity
    written = "".join(map(str, digits)).lstrip("0")
    kept = written.rstrip("0")
    return f"{'-' * sign}{kept}e{exponent + len(written) - len(kept)}"


def _write(value: Any, without: Collection[tuple[int, str | int]], pieces: list[str]) -> None:
    if isinstance(value, str):
        pieces.append(encode_basestring(value))
    elif type(value) is int and -_SAFE <= value <= _SAFE:
        pieces.append(str(value))
    elif value is None or isinstance(value, bool):
        pieces.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, dict):
        before = "{"
        # The order of RFC 8785 §3.2.3, which for ASCII is that of any encoding.
        for name in sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16):
            if without and (id(value), name) in without:
                continue
            member = value[name]
            if type(member) is str:
                pieces.append(f"{before}{encode_basestring(name)}:{encode_basestring(member)}")
            else:
                pieces.append(f"{before}{encode_basestring(name)}:")
                _write(member, without, pieces)
            before = ","
        pieces.append("{}" if before == "{" else "}")
    elif isinstance(value, list):
        before = "["
        for index, element in enumerate(value):
            if without and (id(value), index) in without:
                continue
            pieces.append(before)
            _write(element, without, pieces)
            before = ","
        pieces.append("[]" if before == "[" else "]")
    else:
        pieces.append(number_text(value))


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotCanonical("a name is there twice")  # which one counts differs between parsers
    return members


def _integer(text: str) -> _Numbers:
    return int(text) if len(text) <= _SAFE_DIGITS else _number(text)


def _number(text: str) -> _Numbers:
    if len(text) > _MAX_NUMBER:
        raise NotCanonical(f"a number of more than {_MAX_NUMBER} characters")
    number = float(text)
    if len(text) <= _SAFE_DIGITS + len(".") and "." in text and "e" not in text and "E" not in text:
        return number
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent that even Decimal does not hold
        raise NotCanonical(f"the exponent of {text[:40]}") from None
    # The shortest text of the double must be the number that was written: else two numbers share it.
    return number if math.isfinite(number) and Decimal(repr(number)) == exact else exact


def _no_constant(text: str) -> float:
    raise NotCanonical(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_names, parse_int=_integer, parse_float=_number, parse_constant=_no_constant
)


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
    if any(isinstance(value, dict | list) for value in level):
        raise NotCanonical(f"nested deeper than {MAX_DEPTH}")


def _inside(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer
