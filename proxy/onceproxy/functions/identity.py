"""A call as an action: who it is, and how receipts show it.

As for requests, ``request_id`` is a digest over length-prefixed parts, beginning with the version and the
kind. In the place of an origin is ``function:NAME``, which no request can have: calls and requests never
meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import quote

from onceproxy.core.canonical import CANONICAL_VERSION, pack
from onceproxy.core.masking import masked_text
from onceproxy.core.policies import Policy
from onceproxy.core.receipts import IdentityKind, RequestId
from onceproxy.functions.calls import Call, CallAction

METHOD = "CALL"
SCHEME = "function:"
SHOWN = 120  # characters of a key that are shown


def action_of(
    name: str,
    *,
    key: str | None,
    fingerprint: bytes,
    scope: Sequence[str],
    namespace: str,
    policy: Policy,
    show_key: bool,
) -> CallAction:
    """Return the action of a call. Without a key, ``fingerprint`` (32 bytes) is its identity.

    ``show_key``: receipts show the key behind the name, without what looks like a token.
    """
    kind = IdentityKind.FINGERPRINT if key is None else IdentityKind.KEY
    parts = [
        b"onceproxy/%d" % CANONICAL_VERSION,
        kind.value.encode("ascii"),
        pack(pack((b"call", part.encode("utf-8"))) for part in scope),
        b"",
        *((SCHEME + name).encode("utf-8"), namespace.encode("utf-8")),
        fingerprint if key is None else key.encode("utf-8"),
    ]
    return CallAction(
        request_id=RequestId(hashlib.sha256(pack(parts)).digest()),
        kind=kind,
        canonical=CANONICAL_VERSION,
        scope=tuple(masked_text(part) for part in scope),
        fingerprint=fingerprint,
        credential=b"",
        route=name,
        method=METHOD,
        url=shown(name, key if show_key else None),
        policy=policy,
        key=key.encode("utf-8") if key is not None else None,
        call=Call(),
    )


def shown(name: str, key: str | None) -> str:
    """Return what stands in the place of a URL."""
    if key is None:
        return SCHEME + name
    text = masked_text(key)
    return f"{SCHEME}{name}/{quote(text[:SHOWN], safe=':@,;+*')}" + ("…" if len(text) > SHOWN else "")
