"""Who an action is: the request_id, a pure function of the request, of who asks, and of the route's rules.

Version 1 is ``SHA-256(pack("onceproxy/1", kind, scope, action, …))`` over length-prefixed parts, so that no
two lists of parts collide by concatenation. Kind ``key`` goes on with origin, namespace and key; kind
``fingerprint`` with the fingerprint itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from onceproxy.core.canonical import CANONICAL_VERSION, pack
from onceproxy.core.contents import Content
from onceproxy.core.fingerprints import CanonicalForm, canonical_form
from onceproxy.core.injection import with_key
from onceproxy.core.keys import BadKey, MissingKey, find_key, missing_key, read_key
from onceproxy.core.masking import NOTHING_MORE, SecretRules
from onceproxy.core.messages import Request
from onceproxy.core.receipts import IdentityKind, RequestId
from onceproxy.core.rules import IdentityRules, InjectAs, Missing, Place
from onceproxy.core.scopes import Scope, scope_of

__all__ = [
    "BadKey",
    "Examined",
    "Identity",
    "MissingKey",
    "UnknownVersion",
    "examine",
    "identify",
    "read_key",
]

DEFAULT_RULES = IdentityRules()
VERSIONS = frozenset({CANONICAL_VERSION})
"""The versions of the canonical form that this code can still make."""


class UnknownVersion(ValueError):
    """A canonical form of a version that this code does not know."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An action's identity, the fingerprint of the request that it was first seen with, and whose it is.

    ``scope`` is in words, without secrets. ``key`` is the client's own, unquoted, where it sent one.
    """

    request_id: RequestId
    kind: IdentityKind
    fingerprint: bytes
    canonical: int = CANONICAL_VERSION
    scope: tuple[str, ...] = ()
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """An identity and what it was made from. ``outgoing`` is the request as it is to be sent upstream.

    ``keyed``: the upstream will see a key that is the same for all copies, the client's or ours. ``secrets``:
    what people are not shown of it.
    """

    identity: Identity
    form: CanonicalForm
    scope: Scope
    outgoing: Request
    keyed: bool
    secrets: SecretRules = NOTHING_MORE


def identify(
    request: Request,
    rules: IdentityRules = DEFAULT_RULES,
    *,
    user: str | None = None,
    action: bytes | None = None,
    canonical: int = CANONICAL_VERSION,
) -> Identity:
    """Return the identity of the action that ``request`` asks for; see ``examine``."""
    return examine(request, rules, user=user, action=action, canonical=canonical).identity


def examine(
    request: Request,
    rules: IdentityRules = DEFAULT_RULES,
    *,
    user: str | None = None,
    action: bytes | None = None,
    canonical: int = CANONICAL_VERSION,
) -> Examined:
    """Return the identity of the action that ``request`` asks for, and what it is made from.

    ``user`` is the proxy's user. ``action`` is the value of ``Onceproxy-Action``: another value is another
    action, the way to say "again, on purpose". ``canonical`` asks for the form of a former version.

    Raises:
        BadKey: the request's key can't be used.
        MissingKey: there is none, and the rules do not take the fingerprint in its place.
        UnknownVersion: ``canonical`` is none of ``VERSIONS``.
    """
    if canonical not in VERSIONS:
        raise UnknownVersion(f"canonical version {canonical} is not known to this onceproxy")
    content = Content(request)
    key = find_key(request, content, rules)
    if key is None and rules.missing is not Missing.FINGERPRINT:
        raise missing_key(rules)
    scope = scope_of(user, request, content, rules)
    form = canonical_form(request, content, rules.fingerprint, canonical)
    kind = IdentityKind.FINGERPRINT if key is None else IdentityKind.KEY
    parts = [
        b"onceproxy/%d" % canonical,
        kind.value.encode("ascii"),
        pack(scope.parts),
        b"" if action is None else pack([action]),
    ]
    fingerprint = form.digest
    if key is None:
        parts.append(fingerprint)
    else:
        parts += [str(request.origin).encode("ascii"), rules.namespace.encode("utf-8"), key]
    request_id = RequestId(hashlib.sha256(pack(parts)).digest())
    outgoing = None
    if key is None and rules.inject_key is not None:
        outgoing = with_key(request, content, rules.inject_key, injected(request_id, rules))
    return Examined(
        Identity(request_id, kind, fingerprint, canonical, scope.words, key),
        form,
        scope,
        outgoing=outgoing or request,
        keyed=key is not None or outgoing is not None,
        secrets=rules.secrets,
    )


def injected(request_id: RequestId, rules: IdentityRules) -> str:
    """Return a request_id as the key that goes upstream: quoted where the route's own keys must be."""
    key = str(request_id) if rules.inject_as is InjectAs.REQUEST_ID else str(request_id.uuid)
    in_header = rules.inject_key is not None and rules.inject_key.place is Place.HEADER
    return f'"{key}"' if in_header and rules.strict else key
