"""The identity of a request that has arrived, made without holding up the event loop."""

from __future__ import annotations

import asyncio

from onceproxy.core.contents import Content, content_codings
from onceproxy.core.identity import Examined, examine
from onceproxy.core.keys import BadKey, MissingKey, find_key, needs_body
from onceproxy.core.messages import Request
from onceproxy.core.routes import Route
from onceproxy.core.rules import IdentityRules, Missing
from onceproxy.ingress.incoming import Incoming

INLINE = 64 * 1024  # bytes of body up to which a thread costs more than the work


def passes_by(request: Request, rules: IdentityRules) -> bool:
    """Say by a request's head alone whether it has no key and so, as the rules want, goes by unguarded."""
    if rules.missing is not Missing.PASS or needs_body(rules):
        return False
    try:
        return find_key(request, Content(request), rules) is None
    except BadKey:
        return False


async def examine_arrived(request: Request, incoming: Incoming, route: Route) -> Examined | None:
    """Examine a request whose body is there. None: it has no key, and goes through unguarded.

    Raises:
        BadKey: the request's key can't be used.
        MissingKey: there is none, and the route wants one.
    """
    try:
        # Coded bodies may be far larger than they look.
        if request.body.size <= INLINE and not content_codings(request.headers):
            return _examine(request, incoming, route)
        return await asyncio.to_thread(_examine, request, incoming, route)
    except MissingKey:
        if route.identity.missing is Missing.PASS:
            return None
        raise


def _examine(request: Request, incoming: Incoming, route: Route) -> Examined:
    return examine(request, route.identity, user=incoming.user, action=incoming.action)
