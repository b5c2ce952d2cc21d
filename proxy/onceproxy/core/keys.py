"""The client's own key of an action: where it is, how it is spelled, what is no key."""

from __future__ import annotations

import re

import http_sf

from onceproxy.core.contents import Content
from onceproxy.core.messages import Request
from onceproxy.core.places import NoScalar, values_at
from onceproxy.core.rules import IdentityRules, Place, Source

MAX_KEY = 255
_VISIBLE = re.compile(rb"[\x21-\x7e]+")
_PLAIN = re.compile(rb"[\x21\x23-\x7e][\x21-\x7e]{0,254}")  # a key that is read as it is, wherever it is
_NAMES = {Place.HEADER: "", Place.QUERY: "query ", Place.FORM: "form field ", Place.JSON: "JSON member "}
_OF_THE_HEAD = (Place.HEADER, Place.QUERY)


class BadKey(ValueError):
    """A client's key can't be used; the text says why and what to do."""


class MissingKey(Exception):
    """There is no key, and the fingerprint does not take its place; the text says where one goes."""


def find_key(request: Request, content: Content, rules: IdentityRules) -> bytes | None:
    """Return the key at the first of the route's sources that has one, or None.

    Raises:
        BadKey: what is there can't be used.
    """
    for source in rules.keys:
        try:
            values = values_at(source, request, content)
        except NoScalar as error:
            raise BadKey(f"{describe(source)}: {error}") from None
        if not values:
            continue
        if len(values) == 1 and not rules.strict and _PLAIN.fullmatch(values[0]):
            return values[0]  # as nearly all are: there is nothing to read, and nothing wrong
        return read_key(values, describe(source), header=source.place is Place.HEADER, strict=rules.strict)
    return None


def describe(source: Source) -> str:
    """Name a source in words."""
    return _NAMES[source.place] + source.name


def needs_body(rules: IdentityRules) -> bool:
    """Say whether a key may be in the body."""
    return any(source.place not in _OF_THE_HEAD for source in rules.keys)


def missing_key(rules: IdentityRules) -> MissingKey:
    """Say that there is no key, and where it could be."""
    places = " or ".join(describe(source) for source in rules.keys)
    return MissingKey(f"No idempotency key: this route wants one as {places or 'nothing that exists'}")


def read_key(values: list[bytes], what: str, *, header: bool = True, strict: bool = False) -> bytes | None:
    """Return the key that ``values`` name, or None where there are none. ``what`` is how to call its place.

    In a header, a bare token and a string of RFC 9651 name the same key (draft-ietf-httpapi-idempotency-key-
    header §2.1 wants a string; most APIs take a bare value); with ``strict`` only the string is one.

    Raises:
        BadKey: more than one value, empty, over 255 characters, or with anything but visible ASCII.
    """
    if not values:
        return None
    if len(values) > 1:
        raise BadKey(f"{what} is there {len(values)} times; send it once")
    key = values[0]
    if header:
        key = key.strip()
        if key.startswith(b'"'):
            key = _unquoted(key, what)
        elif strict and key:
            raise BadKey(f'{what} must be a string of RFC 9651: "in double quotes"')
    if not key:
        raise BadKey(f"{what} is empty; leave it out or send 1 to {MAX_KEY} visible ASCII characters")
    if len(key) > MAX_KEY:
        raise BadKey(f"{what} has {len(key)} characters; at most {MAX_KEY} are allowed")
    if not _VISIBLE.fullmatch(key):
        raise BadKey(f"{what} holds something else than visible ASCII characters")
    return key


def _unquoted(value: bytes, what: str) -> bytes:
    try:
        item = http_sf.parse(value, tltype="item")
    except http_sf.StructuredFieldError:
        raise BadKey(f"{what} starts with a quote but is no string of RFC 9651") from None
    # An item is a bare value and its parameters; only the value names the key.
    bare = item[0] if isinstance(item, tuple) else item
    return str(bare).encode("ascii")
