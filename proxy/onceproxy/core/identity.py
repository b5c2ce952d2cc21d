"""Who an action is: the request_id, a pure function of the request and of who asks.

Version 1 is ``SHA-256(pack("onceproxy/1", kind, scope, …))`` over length-prefixed parts, so that no two
lists of parts collide by concatenation. Kind ``key`` goes on with origin, namespace and key; kind
``fingerprint`` with the fingerprint itself.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import http_sf

from onceproxy.core.canonical import (
    CANONICAL_VERSION,
    canonical_body,
    canonical_escapes,
    canonical_pairs,
    pack,
)
from onceproxy.core.messages import Request, header_values
from onceproxy.core.receipts import IdentityKind, RequestId

KEY_HEADER = "Idempotency-Key"
MAX_KEY = 255
_VISIBLE = re.compile(rb"[\x21-\x7e]+")


class BadKey(ValueError):
    """A client's key can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An action's identity and the fingerprint of the request that it was first seen with.

    ``key`` is the client's key, unquoted, where it sent one.
    """

    request_id: RequestId
    kind: IdentityKind
    fingerprint: bytes
    canonical: int = CANONICAL_VERSION
    key: bytes | None = None


def read_key(values: list[bytes]) -> bytes | None:
    """Return the key that the header's lines name, or None where there is no such header.

    A bare token and a string of RFC 9651 name the same key (draft-ietf-httpapi-idempotency-key-header §2.1
    wants a string; most APIs take a bare value).

    Raises:
        BadKey: more than one line, empty, over 255 characters, or with anything but visible ASCII.
    """
    if not values:
        return None
    if len(values) > 1:
        raise BadKey(f"{KEY_HEADER} is there {len(values)} times; send it once")
    key = values[0].strip()
    if key.startswith(b'"'):
        key = _unquoted(key)
    if not key:
        raise BadKey(f"{KEY_HEADER} is empty; leave it out or send 1 to {MAX_KEY} visible ASCII characters")
    if len(key) > MAX_KEY:
        raise BadKey(f"{KEY_HEADER} has {len(key)} characters; at most {MAX_KEY} are allowed")
    if not _VISIBLE.fullmatch(key):
        raise BadKey(f"{KEY_HEADER} holds something else than visible ASCII characters")
    return key


def _unquoted(value: bytes) -> bytes:
    try:
        item = http_sf.parse(value, tltype="item")
    except http_sf.StructuredFieldError:
        raise BadKey(f"{KEY_HEADER} starts with a quote but is no string of RFC 9651") from None
    # An item is a bare value and its parameters; only the value names the key.
    bare = item[0] if isinstance(item, tuple) else item
    return str(bare).encode("ascii")


def fingerprint(request: Request) -> bytes:
    """Return the digest of what is asked for: method, origin, path, query and canonical body (32 bytes)."""
    path, _, query = request.target.partition(b"?")
    parts = (
        b"fingerprint/%d" % CANONICAL_VERSION,
        request.method.encode("ascii"),
        str(request.origin).encode("ascii"),
        canonical_escapes(path),
        canonical_pairs(query),
        pack(canonical_body(request.headers, request.body.read())),
    )
    return hashlib.sha256(pack(parts)).digest()


def identify(request: Request, *, scope: tuple[str, ...] = (), action: bytes | None = None) -> Identity:
    """Return the identity of the action that ``request`` asks for.

    ``scope`` says whose action it is. ``action`` is the value of ``Onceproxy-Action``: another value is
    another action, the way to say "again, on purpose".

    Raises:
        BadKey: the request's key can't be used.
    """
    key = read_key(header_values(request.headers, KEY_HEADER))
    print_ = fingerprint(request)
    kind = IdentityKind.FINGERPRINT if key is None else IdentityKind.KEY
    parts = [
        b"onceproxy/%d" % CANONICAL_VERSION,
        kind.value.encode("ascii"),
        pack(part.encode("utf-8") for part in scope),
        b"" if action is None else pack([action]),
    ]
    if key is None:
        parts.append(print_)
    else:
        parts += [str(request.origin).encode("ascii"), KEY_HEADER.lower().encode("ascii"), key]
    return Identity(RequestId(hashlib.sha256(pack(parts)).digest()), kind, print_, key=key)
