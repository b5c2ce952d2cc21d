"""The identity of a request that has arrived, made without holding up the event loop."""

from __future__ import annotations

import asyncio

from onceproxy.core.contents import Content, may_be_coded
from onceproxy.core.identity import Examined, examine
from onceproxy.core.keys import BadKey, MissingKey, find_key, needs_body
from onceproxy.core.messages import Request
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.rules import BodyForm, IdentityRules, Missing
from onceproxy.ingress.incoming import Incoming

INLINE = 64 * 1024  # bytes of body up to which a thread costs more than the work
INLINE_GRAPHQL = 2 * 1024  # likewise for GraphQL, of which its parser reads some 200 bytes a ms


def takes_long(request: Request, route: Route) -> bool:
    """Say whether reading a request's body under the rules of ``route`` would hold up the event loop."""
    graphql = route.identity.fingerprint.body.form is BodyForm.GRAPHQL
    # Coded bodies may be far larger than they look.
    return request.body.size > (INLINE_GRAPHQL if graphql else INLINE) or may_be_coded(request.headers)


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
        if takes_long(request, route):
            return await asyncio.to_thread(_examine, request, incoming, route)
        return _examine(request, incoming, route)
    except MissingKey:
        if route.identity.missing is Missing.PASS:
            return None
        raise


def _examine(request: Request, incoming: Incoming, route: Route) -> Examined:
    return examine(request, route.identity, user=incoming.user, action=incoming.action)


async def find_route(routes: RouteTable, request: Request) -> Route:
    """Return the route of a request whose body is there, for the routes that look into it."""
    if request.body.size <= INLINE:
        return routes.find(request)
    return await asyncio.to_thread(routes.find, request)
