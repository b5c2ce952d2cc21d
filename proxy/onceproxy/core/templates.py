"""Templates of URLs that name values of an action, such as ``https://h/orders?reference={json:$.reference}``.

The places: ``{json:JSONPATH}``, ``{form:NAME}``, ``{query:NAME}``, ``{header:NAME}``, ``{key}`` (the client's
idempotency key) and ``{request_id}``. Each must yield exactly one value, and one that is not empty: a
question without its reference would be a question about everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from onceproxy.core.canonical import media_type
from onceproxy.core.jsonpaths import compile_path, select
from onceproxy.core.messages import DEFAULT_PORTS, Origin, Request, header_values

_ORIGIN = re.compile(r"https?://[^/?#{}@\s]+(?=[/?]|$)")
_PLACE = re.compile(r"\{([^{}]*)\}")
_AS_IT_IS = "!$%&'()*+,-./:;=?@_~[]"


class Place(StrEnum):
    """Where a value of an action is found."""

    JSON = "json"
    FORM = "form"
    QUERY = "query"
    HEADER = "header"
    KEY = "key"
    REQUEST_ID = "request_id"


NAMELESS = frozenset({Place.KEY, Place.REQUEST_ID})


class NotFilled(Exception):
    """A request has no value for a place; the text says which, in words that follow "it"."""


@dataclass(frozen=True, slots=True)
class Template:
    """An origin, and the pieces of a target: text as it is sent, or a place and its name there."""

    origin: Origin
    pieces: tuple[str | tuple[Place, str], ...]


@lru_cache(maxsize=1024)
def parse_template(url: str) -> Template:
    """Read a template.

    Raises:
        ValueError: it is no absolute http or https URL, has a place in its origin, or one that is unknown.
    """
    match = _ORIGIN.match(url)
    if match is None or not match[0].isascii() or re.search(r"[\s#\x00-\x1f\x7f]", url):
        raise ValueError("it must be http(s)://host/path with the host written out, and have no # in it")
    parts = urlsplit(match[0])
    origin = Origin(parts.scheme, parts.hostname or "", _port(parts))
    target = url[match.end() :]
    pieces: list[str | tuple[Place, str]] = ["" if target.startswith("/") else "/"]
    end = 0
    for place in _PLACE.finditer(target):
        pieces += [target[end : place.start()], _place(place[1])]
        end = place.end()
    pieces.append(target[end:])
    texts = [piece for piece in pieces if isinstance(piece, str)]
    if any("{" in text or "}" in text for text in texts):
        raise ValueError("each { needs its }; write %7B and %7D for the characters themselves")
    return Template(
        origin,
        tuple(quote(piece, safe=_AS_IT_IS) if isinstance(piece, str) else piece for piece in pieces if piece),
    )


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError as error:
        raise ValueError(f"its port can't be used: {error}") from None


def _place(text: str) -> tuple[Place, str]:
    kind, _, name = text.partition(":")
    try:
        place = Place(kind)
    except ValueError:
        known = ", ".join(f"{{{p}}}" if p in NAMELESS else f"{{{p}:…}}" for p in Place)
        raise ValueError(f"{{{text}}} is no place; there are {known}") from None
    if (place in NAMELESS) == bool(name):
        needs = "takes no name" if name else "needs a name"
        raise ValueError(f"{{{text}}} {needs}")
    if place is Place.JSON:
        compile_path(name)
    return place, name


@dataclass(frozen=True, slots=True)
class Asked:
    """What a template is filled from: an action's request, its request_id, and its key if it has one."""

    request: Request
    request_id: str
    key: bytes | None = None


def fill(template: Template, asked: Asked) -> bytes:
    """Return the target that a template makes of an action, each value percent-encoded.

    Raises:
        NotFilled: a place yields no value, more than one, or one that would change the meaning of the path.
    """
    filled = "".join(
        piece if isinstance(piece, str) else quote(_value(*piece, asked), safe="")
        for piece in template.pieces
    )
    literal = "".join(piece if isinstance(piece, str) else "{}" for piece in template.pieces)
    if _climbs(filled) != _climbs(literal):
        raise NotFilled("would ask for another path: a value is . or ..")
    return filled.encode("ascii")


def _climbs(target: str) -> int:
    """Count the segments of a path that lead elsewhere (RFC 3986 §3.3), between escaped slashes as well."""
    path = target.partition("?")[0].upper().replace("%2F", "/")
    return sum(segment in (".", "..") for segment in path.split("/"))


def _value(place: Place, name: str, asked: Asked) -> bytes:
    called = f"{{{place}:{name}}}" if name else f"{{{place}}}"
    values = list(_values(place, name, asked))
    if len(values) > 1:
        raise NotFilled(f"needs one {called}, and the request has {len(values)}")
    if not values or not values[0]:
        raise NotFilled(f"needs {called}, and the request has none")
    return values[0]


def _values(place: Place, name: str, asked: Asked) -> Iterator[bytes]:
    request = asked.request
    match place:
        case Place.REQUEST_ID:
            yield asked.request_id.encode("ascii")
        case Place.KEY:
            yield asked.key or b""
        case Place.HEADER:
            yield from (value.strip() for value in header_values(request.headers, name))
        case Place.QUERY:
            yield from _named(request.target.partition(b"?")[2], name)
        case Place.FORM:
            if media_type(request.headers) == "application/x-www-form-urlencoded" and not _coded(request):
                yield from _named(request.body.read(), name)
        case Place.JSON:
            if not _coded(request):
                yield from map(_text, _selected(name, request.body.read()))


def _coded(request: Request) -> bool:
    values = header_values(request.headers, "content-encoding")
    return any(value.strip().lower() != b"identity" for value in values)


def _named(pairs: bytes, name: str) -> Iterator[bytes]:
    for key, value in parse_qsl(pairs, keep_blank_values=True):
        if key == name.encode("utf-8"):
            yield value


def _selected(path: str, body: bytes) -> list[Any]:
    try:
        return select(path, json.loads(body, object_pairs_hook=_unique))
    except (ValueError, RecursionError):  # no JSON, or one that is read in two ways
        return []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is there twice")  # the upstream may take the other one
    return members


def _text(value: Any) -> bytes:
    """Return a string or a number as text; anything else names nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value).encode("ascii")
    try:
        return value.encode("utf-8") if isinstance(value, str) else b""
    except UnicodeEncodeError:  # half a surrogate pair
        return b""
