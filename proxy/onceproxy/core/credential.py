"""Whose upstream credential a request carries, reduced to what is the same on each try.

A receipt must not be handed to somebody with another credential. SDKs sign each try anew, so a signature is
reduced to who signs; only a keyed digest of the result is ever stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from onceproxy.core.canonical import pack
from onceproxy.core.messages import RawHeaders

_API_KEY_HEADERS = frozenset(
    {
        b"api-key",
        b"apikey",
        b"cookie",
        b"private-token",
        b"x-access-token",
        b"x-api-key",
        b"x-auth-token",
        b"x-goog-api-key",
    }
)
_CREDENTIALS = _API_KEY_HEADERS | {b"authorization", b"signature", b"signature-input"}
_AWS_KEY_ID = re.compile(rb"credential=([^/,\s]+)", re.IGNORECASE)
_DIGEST_MEMBERS = re.compile(rb'(username|realm)\s*=\s*("(?:[^"\\]|\\.)*"|[^,\s]+)', re.IGNORECASE)
_SIGNATURE_KEYID = re.compile(rb'keyid\s*=\s*"([^"]*)"', re.IGNORECASE)


def carries_credential(name: bytes) -> bool:
    """Say whether a header of this name (any case) is part of a credential."""
    return name.lower() in _CREDENTIALS


def stable_credential(headers: RawHeaders) -> bytes:
    """Return the stable parts of all credentials in a request, packed; empty where there is none."""
    parts = []
    for name, value in headers:
        lower = name.lower()
        if lower == b"authorization":
            parts.append(pack([lower, *_stable_authorization(value)]))
        elif lower == b"signature-input":
            parts.append(pack([lower, *sorted(_SIGNATURE_KEYID.findall(value))]))
        elif lower in _API_KEY_HEADERS:
            parts.append(pack([lower, value]))
    return pack(sorted(parts))


def credential_digest(key: bytes, headers: RawHeaders) -> bytes:
    """Return the keyed digest of a request's credential (32 bytes), or empty where it carries none."""
    stable = stable_credential(headers)
    return hmac.new(key, stable, hashlib.sha256).digest() if stable else b""


def _stable_authorization(value: bytes) -> list[bytes]:
    scheme, _, rest = value.strip().partition(b" ")
    scheme = scheme.lower()
    if scheme.startswith(b"aws4-"):
        return [scheme, *_AWS_KEY_ID.findall(rest)]
    if scheme == b"digest":
        return [scheme, *(member for pair in sorted(_DIGEST_MEMBERS.findall(rest)) for member in pair)]
    if scheme == b"signature":
        return [scheme, *_SIGNATURE_KEYID.findall(rest)]
    return [scheme, rest.strip()]
