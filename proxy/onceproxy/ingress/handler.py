"""What becomes of a request: tunnelled, passed through, or guarded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from onceproxy.core.actions import action_of
from onceproxy.core.identity import BadKey, MissingKey
from onceproxy.core.limits import OverLimit
from onceproxy.core.messages import Request
from onceproxy.core.policies import Mode
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.rules import IdentityRules
from onceproxy.core.users import EVERYBODY, Login, Users
from onceproxy.core.verdicts import Verdict
from onceproxy.core.via import via_line
from onceproxy.guard.capture import Capture
from onceproxy.guard.guard import Guard
from onceproxy.guard.room import ENDLESS, Room
from onceproxy.ingress.asked_of_us import answer_ourselves
from onceproxy.ingress.bodies import read_body
from onceproxy.ingress.client_connection import ClientConnection, Sent
from onceproxy.ingress.connect import Connector
from onceproxy.ingress.identifying import examine_arrived, find_route, passes_by
from onceproxy.ingress.incoming import Incoming, Refused, problem_of, read_connect, read_request
from onceproxy.ingress.interim import InterimRelay
from onceproxy.ingress.judging import Judge
from onceproxy.ingress.logins import Logins
from onceproxy.ingress.passing import Passing
from onceproxy.ingress.ports import Outbound
from onceproxy.ingress.recalling import Recall
from onceproxy.ingress.replaying import Copy
from onceproxy.ingress.responses import ProblemResponse, answer_response
from onceproxy.ingress.targets import Mount
from onceproxy.ingress.tunnels import Tunnels
from onceproxy.signals.journey import IDENTITY, Journey, Stage
from onceproxy.signals.signals import Signals


@dataclass(frozen=True, slots=True)
class IngressRules:
    """What the configuration says of requests. ``request_body``: bytes that a guarded one's body may have."""

    request_body: int
    routes: RouteTable
    mounts: tuple[Mount, ...] = ()
    users: Users = EVERYBODY


class Handler:
    """Takes each request of each client connection to its answer.

    ``via`` is our name in Via; None: we add none.
    """

    def __init__(
        self,
        guard: Guard,
        outbound: Outbound,
        connector: Connector,
        tunnels: Tunnels,
        credential: Callable[[Request, IdentityRules], bytes],
        rules: IngressRules,
        via: bytes | None = None,
        room: Room = ENDLESS,
        signals: Signals | None = None,
    ) -> None:
        self._guard = guard
        self._connector = connector
        self._credential = credential
        self._rules = rules
        self._logins = Logins(rules.users)
        self._via = via
        self._room = room
        self._judge = Judge()
        self._signals = signals or Signals()
        self._recall = Recall(guard, self._signals)
        self._passing = Passing(outbound, tunnels, self._judge, self._signals, via)

    def follow(self, rules: IngressRules) -> None:
        """Treat the requests that come from now on by other rules; those under way keep theirs."""
        self._rules = rules
        self._logins = Logins(rules.users, self._logins)
        self._recall = Recall(self._guard, self._signals)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        connection = cast(ClientConnection, request.protocol)
        if connection.head_over:
            return self._refused(connection.refuse_head())
        try:
            login = self._logins.admit_at_once(request) or await self._logins.admit(request)
            if request.method == "CONNECT":
                return await self._connect(request, login)
            # One set for all of the request, whatever is configured meanwhile.
            rules, recall = self._rules, self._recall
            incoming = read_request(request, rules.mounts, login, self._via)
            if incoming.for_us:
                return answer_ourselves(request)
            with self._signals.journey(incoming.request) as journey:
                try:
                    return await self._treated(request, incoming, rules, recall, journey)
                except (Refused, OverLimit) as refused:  # of which its trace must not say that it failed
                    return self._refused(problem_of(refused))
        except (Refused, OverLimit) as refused:
            return self._refused(problem_of(refused))
        except Exception:
            self._signals.failed()
            raise

    def _refused(self, problem: Problem) -> ProblemResponse:
        self._signals.refused(problem)
        return ProblemResponse(problem, close=True)

    def at_once(self, connection: ClientConnection, head: RawRequestMessage, body: bytes) -> bytes | None:
        """Answer a copy that says what an earlier one said byte for byte; None: it goes the way of others."""
        tunnel = connection.tunnel
        if connection.head_over or (tunnel is not None and not self._logins.users.holds(tunnel.login)):
            return None
        return self._recall.answer(head, body, tunnel)

    async def _treated(
        self,
        request: web.BaseRequest,
        incoming: Incoming,
        rules: IngressRules,
        recall: Recall,
        journey: Journey,
    ) -> web.StreamResponse:
        body = None
        route = rules.routes.find_by_head(incoming.request)
        if route is None:
            body = await read_body(request, rules.request_body, self._room)
            route = await find_route(rules.routes, incoming.request.with_body(body))
        route = route.asked_for(incoming.mode)
        if route.policy.mode is Mode.OFF:
            return await self._passing.through(request, incoming, body, route, journey)
        if body is None and route.needs_body(incoming.request):
            body = await read_body(request, rules.request_body, self._room)
        read = incoming
        if body is not None:
            read = incoming._replace(request=incoming.request.with_body(body))
        verdict = route.verdict_by_method(read.request) or await self._judge.verdict(route, read)
        if not verdict.action:
            return await self._passing.through(
                request, incoming, body, route, journey, learn=verdict.lists_tools
            )
        if body is None:
            if passes_by(incoming.request, route.identity):
                return await self._passing.through(request, incoming, None, route, journey)
            body = await read_body(request, rules.request_body, self._room)
        return await self._guarded(request, incoming, body, route, verdict, recall, journey)

    async def _connect(self, request: web.BaseRequest, login: Login) -> web.StreamResponse:
        if cast(ClientConnection, request.protocol).tunnel is not None:
            raise Refused(
                ProblemType.BAD_REQUEST,
                "A CONNECT inside a tunnel is not served; open a connection for each.",
            )
        return await self._connector.serve(request, read_connect(request, login, self._via))

    async def _guarded(
        self,
        request: web.BaseRequest,
        incoming: Incoming,
        body: Capture,
        route: Route,
        verdict: Verdict,
        recall: Recall,
        journey: Journey,
    ) -> web.StreamResponse:
        journey.arrived(route.name, body.size)
        whole = incoming.request.with_body(body)
        try:
            with Stage(IDENTITY, journey):
                examined = await examine_arrived(whole, incoming, route)
        except BadKey as error:
            return self._not_sent(ProblemType.BAD_KEY, error, route)
        except MissingKey as error:
            return self._not_sent(ProblemType.MISSING_KEY, error, route)
        if examined is None:
            return await self._passing.through(request, incoming, body, route, journey)
        outgoing = examined.outgoing
        credential = self._credential(route.sent_as(whole), route.identity)
        action = action_of(
            examined,
            route,
            credential,
            insisted=incoming.action is not None,
            harmless_twice=verdict.harmless_twice,
            user=incoming.user,
        )
        journey.action = action
        copy = await Copy.of(whole, route)
        cast(ClientConnection, request.protocol).sent = Sent.GUARDED
        with InterimRelay(request, self._via) as interim:
            answer = await self._guard.once(copy.marked(action), route.sent_as(outgoing), interim)
        self._signals.decided(journey, action, answer)
        via = () if self._via is None else via_line("1.1", self._via)
        if answer.replayed and copy.says_all:
            recall.keep(request, body, action, answer, via)
        return answer_response(await copy.answered(answer), via=via)

    def _not_sent(self, kind: ProblemType, error: Exception, route: Route) -> ProblemResponse:
        problem = Problem(kind, f"{error}. Nothing was sent.", route=route.name)
        self._signals.refused(problem)
        return ProblemResponse(problem)
