"""A canonical form for people: what a fingerprint is made from, secrets hidden."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Protocol
from urllib.parse import urlsplit

from onceproxy.core.canonical import unpack
from onceproxy.core.credential import carries_credential
from onceproxy.core.fingerprints import CanonicalForm
from onceproxy.core.masking import NOTHING_MORE, SecretRules, is_secret_name, masked_path, masked_text

HIDDEN = "(hidden)"
_SHOWN = 2000  # characters of one text; what is longer is told by its digest


class Hide(Protocol):
    """Says what stands in the place of a secret."""

    def __call__(self, value: Any) -> str:
        """Return what is shown."""
        ...


def _hidden(value: Any) -> str:
    return HIDDEN


def readable(
    form: CanonicalForm, hide: Hide = _hidden, secrets: SecretRules = NOTHING_MORE
) -> dict[str, Any]:
    """Return the parts of a canonical form as plain values, in the order in which they count.

    ``secrets``: what the route hides besides what is always hidden.
    """
    return {
        "version": form.version,
        "method": form.method,
        "origin": form.origin,
        "path": masked_path(urlsplit(form.origin).hostname or "", form.path, secrets),
        "query": [_pair(pair, hide, secrets.query) for pair in form.query],
        "headers": dict(_header(line, hide, secrets.headers) for line in form.headers),
        "body": {
            "read_as": form.body.read_as,
            "media_type": form.body.kind,
            "parts": [_part(part, hide) for part in form.body.parts],
        },
    }


def _header(packed: bytes, hide: Hide, more: tuple[str, ...]) -> tuple[str, list[str]]:
    name, *values = unpack(packed) or [b"?"]
    secret = carries_credential(name) or is_secret_name(name.decode("latin-1"), more)
    return name.decode("latin-1"), [hide(value) if secret else _text(value) for value in values]


def _part(data: bytes, hide: Hide) -> Any:
    """Return a part of a body as what it is: a list of parts, JSON, or text."""
    if data and (parts := unpack(data)) is not None:
        return [_part(part, hide) for part in parts]
    if data[:1] in (b"{", b"["):
        try:
            return _without_secrets(json.loads(data), hide)
        except ValueError:
            pass
    return _pair(data, hide)


def _pair(data: bytes, hide: Hide, more: tuple[str, ...] = ()) -> str:
    name, equals, value = data.partition(b"=")
    if equals and len(name) < 256 and is_secret_name(name.decode("latin-1"), more):
        return f"{_text(name)}={hide(value)}"
    return _text(data)


def _without_secrets(value: Any, hide: Hide) -> Any:
    if isinstance(value, dict):
        return {
            name: hide(item) if is_secret_name(name) else _without_secrets(item, hide)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item, hide) for item in value]
    return masked_text(value) if isinstance(value, str) else value


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if len(data) <= _SHOWN and text.isprintable() and (text or not data):
        return masked_text(text)
    return f"({len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()})"
