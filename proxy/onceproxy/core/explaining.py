"""Why a request gets the route and the identity that it gets, and which it would get by other rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from onceproxy.core.contents import Content
from onceproxy.core.identity import Examined, examine
from onceproxy.core.keys import BadKey, MissingKey, find_key
from onceproxy.core.matching import Check, Reading
from onceproxy.core.messages import Request
from onceproxy.core.policies import Mode
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.rules import Missing, Source
from onceproxy.core.verdicts import Verdict

NEARLY = 5  # routes that are told of which came before and failed in one condition


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the proxy's user, and the value of Onceproxy-Action."""

    user: str | None = None
    action: bytes | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A route, and how each of its conditions went."""

    route: Route
    checks: tuple[Check, ...]

    @property
    def unmet(self) -> tuple[Check, ...]:
        """The conditions that the request does not meet."""
        return tuple(check for check in self.checks if not check.met)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of a request, and why.

    ``nearly``: routes that come before and fail in one condition. ``examined`` is there if it is guarded and
    has an identity, ``refusal`` if it is refused before it has one. ``key_from`` is where the key was.
    """

    chosen: Tried
    nearly: tuple[Tried, ...]
    verdict: Verdict
    examined: Examined | None = None
    key_from: Source | None = None
    refusal: str | None = None

    @property
    def guarded(self) -> bool:
        """Whether it is claimed before it is sent."""
        return self.examined is not None


@dataclass(frozen=True, slots=True)
class Former:
    """The identity that the request has by other rules, which may have held: ``label`` says which."""

    label: str
    route: str
    examined: Examined


def explain(table: RouteTable, request: Request, asker: Asker) -> Explanation:
    """Explain what becomes of a whole request."""
    route = table.find(request)
    chosen = Tried(route, tuple(route.match.checks(Reading(request), route.identity.secrets)))
    nearly = tuple(_nearly(table, route, request))[:NEARLY]
    verdict = route.verdict(request)
    if route.policy.mode is Mode.OFF:
        verdict = Verdict(False, "mode-off")
    if not verdict.action:
        return Explanation(chosen, nearly, verdict)
    try:
        examined = _examine(route, request, asker)
    except MissingKey as error:
        if route.identity.missing is Missing.PASS:
            return Explanation(chosen, nearly, Verdict(False, "no-key"))
        return Explanation(chosen, nearly, verdict, refusal=str(error))
    except BadKey as error:
        return Explanation(chosen, nearly, verdict, refusal=str(error))
    return Explanation(chosen, nearly, verdict, examined, _key_from(route, request))


def formers(
    explanation: Explanation, request: Request, asker: Asker, tables: list[tuple[str, RouteTable]]
) -> list[Former]:
    """Return the other identities that the request has by other rules, each once.

    These are the rules of ``tables`` (each with its label), of the routes that match as well but come later,
    and of the defaults: what held before a route was put in front of them.
    """
    assert explanation.examined is not None
    seen = {explanation.examined.identity.request_id}
    found = []
    for label, route in _other_routes(explanation.chosen.route, request, tables):
        try:
            examined = _examine(route, request, asker)
        except (BadKey, MissingKey):
            continue
        if route.guards(request) and examined.identity.request_id not in seen:
            seen.add(examined.identity.request_id)
            found.append(Former(label, route.name, examined))
    return found


def _other_routes(
    chosen: Route, request: Request, tables: list[tuple[str, RouteTable]]
) -> Iterator[tuple[str, Route]]:
    for label, table in tables:
        first = table.find(request)
        yield label, first
        read = Reading(request)
        for route in table.routes:
            matches = all(check.met for check in route.match.checks(read))
            if matches and route is not chosen and route is not first:
                yield f"{label}, without the routes before it", route
        yield f"{label}, without any route", table.default


def _nearly(table: RouteTable, chosen: Route, request: Request) -> Iterator[Tried]:
    read = Reading(request)
    for route in table.routes:
        if route is chosen:
            return
        tried = Tried(route, tuple(route.match.checks(read, route.identity.secrets)))
        if len(tried.unmet) == 1 and len(tried.checks) > 1:
            yield tried


def _examine(route: Route, request: Request, asker: Asker) -> Examined:
    return examine(request, route.identity, user=asker.user, action=asker.action)


def _key_from(route: Route, request: Request) -> Source | None:
    content = Content(request)
    for source in route.identity.keys:
        if find_key(request, content, replace(route.identity, keys=(source,))) is not None:
            return source
    return None
