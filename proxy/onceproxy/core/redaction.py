"""Stored answers without the members that a route does not want kept: exact replays are given up for that.

The rest of the text stays as the upstream wrote it. An answer in which the members can't be looked for is not
kept at all: its copies are told so, as are those of an answer that is too large.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import replace

from onceproxy.core.canonical import NotCanonical
from onceproxy.core.codings import decode
from onceproxy.core.contents import content_codings
from onceproxy.core.hygiene import ABOUT_THE_BYTES
from onceproxy.core.json_members import select_nodes
from onceproxy.core.json_text import parse_json
from onceproxy.core.jsonrpc_text import Written, written_elements, written_members
from onceproxy.core.messages import BytesBody, RawHeaders, Response, has_none

MARKER = "(redacted)"
"""What stands in the place of a member."""

REDACTED = b"Onceproxy-Redacted"
"""A line of a stored response that is not as the upstream gave it. Clients see it in Onceproxy-Status."""
_REDACTED = REDACTED.lower()
_OURS = frozenset({_REDACTED})

Location = tuple[str | int, ...]
_BYTE_ORDER_MARK = "\ufeff"


def is_redacted(response: Response) -> bool:
    """Say whether a stored response lacks what the upstream's had."""
    return not has_none(response.headers, _OURS)


def redacted(response: Response, paths: tuple[str, ...]) -> Response | None:
    """Return a response without what ``paths`` (JSONPaths) select; as it is where that is nothing.

    None: its body is no JSON that all parsers read the same, and so must not be kept.
    """
    headers = response.headers
    if not has_none(headers, _OURS):  # the upstream's word
        headers = tuple(line for line in headers if line[0].lower() != _REDACTED)
        response = replace(response, headers=headers)
    if not paths or not response.body.size:
        return response
    codings = content_codings(headers)
    try:
        body = decode(response.body.read(), codings)
        locations = set(_selected(body, paths))
        if not locations:
            return response
        rest = without(body.decode("utf-8"), locations).encode("utf-8")
    except (NotCanonical, ValueError, RecursionError):
        return None
    return replace(response, headers=_headers(headers, len(rest)), body=BytesBody(rest))


def wholly_redacted(response: Response) -> Response:
    """Return a response with the marker in the place of its whole body."""
    body = json.dumps(MARKER).encode("ascii")
    return replace(response, headers=_headers(response.headers, len(body)), body=BytesBody(body))


def without(text: str, locations: set[Location]) -> str:
    """Return a JSON text with a marker in the place of the values at ``locations``.

    Raises:
        ValueError: it is no JSON, or an object has a name twice.
        RecursionError: it nests too deep.
    """
    start = len(text) - len(text.removeprefix(_BYTE_ORDER_MARK).lstrip(" \t\r\n"))
    pieces, at = [], 0
    for begin, end in sorted(_spans(text, start, len(text.rstrip()), locations)):
        pieces += [text[at:begin], json.dumps(MARKER)]
        at = end
    return "".join((*pieces, text[at:]))


def _selected(body: bytes, paths: tuple[str, ...]) -> Iterator[Location]:
    document = parse_json(body.removeprefix(codecs.BOM_UTF8))
    for path in paths:
        for node in select_nodes(path, document):
            yield tuple(node.location)


def _spans(text: str, start: int, end: int, locations: set[Location]) -> Iterator[tuple[int, int]]:
    """Yield where the values stand that are at ``locations`` from the value at ``start`` on."""
    if () in locations:
        yield start, end
        return
    inside: dict[str | int, set[Location]] = {}
    for name, *rest in locations:
        inside.setdefault(name, set()).add(tuple(rest))
    for name, written in _children(text, start):
        if name in inside:
            yield from _spans(text, written.start, written.end, inside[name])


def _children(text: str, start: int) -> Iterator[tuple[str | int, Written]]:
    match text[start : start + 1]:
        case "{":
            yield from written_members(text, start).items()
        case "[":
            yield from enumerate(written_elements(text, start))


def _headers(headers: RawHeaders, size: int) -> RawHeaders:
    """Return the headers of the changed body: none that tells of the bytes that it had; its own length."""
    stale = ABOUT_THE_BYTES | {b"content-encoding"}
    kept = tuple(
        (name, b"%d" % size) if name.lower() == b"content-length" else (name, value)
        for name, value in headers
        if name.lower() == b"content-length" or name.lower() not in stale
    )
    return (*kept, (REDACTED, b"?1"))
