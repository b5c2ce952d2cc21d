"""The values that a source names in a request: what keys and scopes are made from."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from onceproxy.core.canonical import NotCanonical
from onceproxy.core.contents import MULTIPART_FORM, Content
from onceproxy.core.json_members import select_nodes
from onceproxy.core.json_text import number_text
from onceproxy.core.messages import Request, header_values
from onceproxy.core.pairs import split_pairs
from onceproxy.core.rules import Place, Source


class NoScalar(ValueError):
    """A source names a JSON value that is neither a string nor a number."""


def values_at(source: Source, request: Request, content: Content) -> list[bytes]:
    """Return all values at a place, decoded; of JSON the strings (UTF-8) and numbers, ``null`` is no value.

    A body that can't be read as what the source expects holds none.

    Raises:
        NoScalar: an object, an array or a boolean is there.
    """
    if source.place is Place.HEADER:
        return header_values(request.headers, source.name)
    name = source.name.encode("utf-8")
    match source.place:
        case Place.QUERY:
            pairs = split_pairs(request.target.partition(b"?")[2])
            return [pair.value for pair in pairs if pair.name == name]
        case Place.FORM:
            if content.kind == MULTIPART_FORM:
                return [part.content for part in content.parts or () if part.name == name]
            return [pair.value for pair in content.pairs or () if pair.name == name]
        case Place.JSON:
            return _json_values(source.name, content)


def _json_values(path: str, content: Content) -> list[bytes]:
    if content.json is None:
        return []
    try:
        nodes = select_nodes(path, content.json.document)
    except NotCanonical:
        return []
    return [_scalar(node.value) for node in nodes if node.value is not None]


def _scalar(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise NoScalar("it is neither a string nor a number")
    return number_text(value).encode("ascii")
