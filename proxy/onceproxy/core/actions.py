"""From a request's identity to the action that the guard takes: what its route's rules make of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from onceproxy.core.canonical import pack
from onceproxy.core.identity import Examined
from onceproxy.core.masking import shown_url
from onceproxy.core.policies import InDoubt, Policy
from onceproxy.core.receipts import Action, Likeness
from onceproxy.core.routes import Route
from onceproxy.core.rules import FreshKey


def action_of(
    examined: Examined,
    route: Route,
    credential: bytes,
    *,
    insisted: bool,
    harmless_twice: bool = False,
    user: str | None = None,
) -> Action:
    """Return the action.

    ``credential`` is the digest of the upstream credential. ``insisted``: the client says by Onceproxy-Action
    that it means this one, so it is not held for being like an earlier one. ``harmless_twice``: whoever
    serves it says so, and the route trusts that. ``user`` is the proxy user who asks.
    """
    identity = examined.identity
    return Action(
        request_id=identity.request_id,
        kind=identity.kind,
        canonical=identity.canonical,
        scope=identity.scope,
        fingerprint=identity.fingerprint,
        credential=credential,
        route=route.name,
        method=examined.outgoing.method,
        url=shown_url(examined.outgoing, route.identity.secrets),
        policy=_policy(examined, route, harmless_twice=harmless_twice),
        key=identity.key,
        likeness=_likeness(examined, route, credential, insisted=insisted),
        user=user,
    )


def _policy(examined: Examined, route: Route, *, harmless_twice: bool) -> Policy:
    """Return the route's policy; without a key, the client's or ours, the upstream knows no copies."""
    if harmless_twice and route.policy.in_doubt is InDoubt.REFUSE:
        return replace(route.policy, in_doubt=InDoubt.EXECUTE)
    if not examined.keyed and route.policy.in_doubt is InDoubt.RESEND:
        return replace(route.policy, in_doubt=InDoubt.REFUSE)
    return route.policy


def _likeness(examined: Examined, route: Route, credential: bytes, *, insisted: bool) -> Likeness | None:
    rules = route.identity
    if rules.fresh_key is FreshKey.ALLOW:
        return None
    # Another credential is another account: the same words there ask for something else.
    parts = (pack(examined.scope.parts), examined.identity.fingerprint, credential)
    return Likeness(
        hashlib.sha256(pack(parts)).digest(),
        FreshKey.ALLOW if insisted else rules.fresh_key,
        rules.fresh_key_window,
    )
