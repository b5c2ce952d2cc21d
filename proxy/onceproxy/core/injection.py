"""Putting our request_id into a request as its key, where the client sent none.

A JSON body is not written anew: the member is inserted as text, and every other byte stays as the client sent
it. Parsing and writing would respell numbers and escapes, and so might change what is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from jsonpath_rfc9535.selectors import NameSelector

from onceproxy.core.contents import Content
from onceproxy.core.jsonpaths import compile_path
from onceproxy.core.messages import BytesBody, Request, header_values
from onceproxy.core.rules import Place, Source

_SPACE = re.compile(r"[ \t\n\r]*")
_VALUE = json.JSONDecoder(parse_int=str, parse_float=str)  # only to see where a value ends


def with_key(request: Request, content: Content, source: Source, key: str) -> Request | None:
    """Return the request with ``key`` at ``source``, a header or a JSON member; None where that can't be.

    That is: something else is there already (a JSON ``null`` counts as nothing), the body is coded, or no
    JSON that all parsers read the same, or the object that the member belongs to is not there.
    """
    if source.place is Place.HEADER:
        if header_values(request.headers, source.name):
            return None
        return replace(
            request, headers=(*request.headers, (source.name.encode("ascii"), key.encode("ascii")))
        )
    names = member_names(source.name) if source.place is Place.JSON else None
    if names is None or content.codings or content.json is None:
        return None
    text = _with_member(content.raw.decode("utf-8"), names, json.dumps(key))
    return None if text is None else replace(request, body=BytesBody(text.encode("utf-8")))


def member_names(path: str) -> list[str] | None:
    """Return the names on the way to a member, as in ``$.input.key``; None if the path says anything else."""
    segments = compile_path(path).segments
    selectors = [segment.selectors[0] for segment in segments if len(segment.selectors) == 1]
    names = [selector.name for selector in selectors if isinstance(selector, NameSelector)]
    return names if names and len(names) == len(segments) and compile_path(path).singular_query() else None


def _with_member(text: str, names: list[str], literal: str) -> str | None:
    at = _skip(text, 0)
    *outer, last = names
    for name in outer:
        found = next((start for member, start, _ in _members(text, at) if member == name), None)
        if found is None:
            return None
        at = found
    if text[at] != "{":
        return None
    for member, start, end in _members(text, at):
        if member == last:
            return text[:start] + literal + text[end:] if text[start:end] == "null" else None
    comma = "" if text[_skip(text, at + 1)] == "}" else ","
    return f"{text[: at + 1]}{json.dumps(last)}:{literal}{comma}{text[at + 1 :]}"


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield the members of the object at ``at`` in a valid document: name, start and end of the value."""
    if text[at] != "{":
        return
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _VALUE.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _VALUE.raw_decode(text, start)
        yield name, start, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None  # it matches the empty text
    return space.end()
