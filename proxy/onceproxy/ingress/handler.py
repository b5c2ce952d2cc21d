"""What becomes of a request: tunnelled, passed through, or guarded."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import cast

import structlog
from aiohttp import web

from onceproxy.core.actions import action_of
from onceproxy.core.attempts import NOTHING_SENT, SendFailed
from onceproxy.core.hygiene import not_ours
from onceproxy.core.identity import BadKey, MissingKey
from onceproxy.core.limits import OverLimit
from onceproxy.core.masking import shown_url
from onceproxy.core.messages import RawHeaders, Request
from onceproxy.core.policies import Mode
from onceproxy.core.problems import Problem, ProblemType, overloaded, upstream_problem
from onceproxy.core.routes import READ_ONLY, Route, RouteTable
from onceproxy.core.rules import IdentityRules
from onceproxy.core.users import EVERYBODY, Login, Users
from onceproxy.core.verdicts import Verdict
from onceproxy.core.via import via_line
from onceproxy.guard.capture import Capture
from onceproxy.guard.guard import Guard
from onceproxy.guard.room import ENDLESS, Room
from onceproxy.ingress.asked_of_us import answer_ourselves
from onceproxy.ingress.bodies import ArrivingBody, answer_expectation, body_read_before, broken_off, read_body
from onceproxy.ingress.client_connection import ClientConnection, Sent
from onceproxy.ingress.connect import Connector
from onceproxy.ingress.deciding import log_decision
from onceproxy.ingress.identifying import examine_arrived, find_route, passes_by
from onceproxy.ingress.incoming import Incoming, Refused, read_connect, read_request
from onceproxy.ingress.interim import InterimRelay
from onceproxy.ingress.judging import Judge
from onceproxy.ingress.logins import Logins
from onceproxy.ingress.ports import OpenResponse, Outbound
from onceproxy.ingress.relay import RelayEnd
from onceproxy.ingress.replaying import Copy
from onceproxy.ingress.responses import (
    HandedOver,
    ProblemResponse,
    RawResponse,
    answer_response,
    head_bytes,
)
from onceproxy.ingress.targets import Mount
from onceproxy.ingress.tunnels import Tunnels

log = structlog.get_logger("onceproxy.ingress")


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
    ) -> None:
        self._guard = guard
        self._outbound = outbound
        self._connector = connector
        self._tunnels = tunnels
        self._credential = credential
        self._rules = rules
        self._logins = Logins(rules.users)
        self._via = via
        self._room = room
        self._judge = Judge()

    def follow(self, rules: IngressRules) -> None:
        """Treat the requests that come from now on by other rules; those under way keep theirs."""
        self._rules = rules
        self._logins = Logins(rules.users, self._logins)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        connection = cast(ClientConnection, request.protocol)
        if connection.head_over:
            return ProblemResponse(connection.refuse_head(), close=True)
        try:
            login = await self._logins.admit(request)
            if request.method == "CONNECT":
                return await self._connect(request, login)
            rules = self._rules  # one set for all of the request, whatever is configured meanwhile
            incoming = read_request(request, rules.mounts, login, self._via)
            if incoming.for_us:
                return answer_ourselves(request)
            body = None
            route = rules.routes.find_by_head(incoming.request)
            if route is None:
                body = await read_body(request, rules.request_body, self._room)
                route = await find_route(rules.routes, replace(incoming.request, body=body))
            route = route.asked_for(incoming.mode)
            if route.policy.mode is Mode.OFF:
                return await self._pass_through(request, incoming, body, route)
            if body is None and route.needs_body(incoming.request):
                body = await read_body(request, rules.request_body, self._room)
            read = incoming
            if body is not None:
                read = replace(incoming, request=replace(incoming.request, body=body))
            verdict = await self._judge.verdict(route, read)
            if not verdict.action:
                return await self._pass_through(request, incoming, body, route, learn=verdict.lists_tools)
            if body is None:
                if passes_by(incoming.request, route.identity):
                    return await self._pass_through(request, incoming, None, route)
                body = await read_body(request, rules.request_body, self._room)
            return await self._guarded(request, incoming, body, route, verdict)
        except Refused as refused:
            return ProblemResponse(refused.problem, close=True)
        except OverLimit as over:
            return ProblemResponse(overloaded(over), close=True)

    async def _connect(self, request: web.BaseRequest, login: Login) -> web.StreamResponse:
        if cast(ClientConnection, request.protocol).tunnel is not None:
            raise Refused(
                ProblemType.BAD_REQUEST,
                "A CONNECT inside a tunnel is not served; open a connection for each.",
            )
        return await self._connector.serve(request, read_connect(request, login, self._via))

    async def _guarded(
        self, request: web.BaseRequest, incoming: Incoming, body: Capture, route: Route, verdict: Verdict
    ) -> web.StreamResponse:
        started = time.monotonic()
        whole = replace(incoming.request, body=body)
        try:
            examined = await examine_arrived(whole, incoming, route)
        except BadKey as error:
            return _not_sent(ProblemType.BAD_KEY, error, route)
        except MissingKey as error:
            return _not_sent(ProblemType.MISSING_KEY, error, route)
        if examined is None:
            return await self._pass_through(request, incoming, body, route)
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
        copy = await Copy.of(whole, route)
        cast(ClientConnection, request.protocol).sent = Sent.GUARDED
        with InterimRelay(request, self._via).open() as interim:
            answer = await self._guard.once(copy.marked(action), route.sent_as(outgoing), interim)
        log_decision(action, answer, time.monotonic() - started)
        return answer_response(await copy.answered(answer), via=self._told_via("1.1"))

    async def _pass_through(
        self,
        request: web.BaseRequest,
        incoming: Incoming,
        early: Capture | None,
        route: Route,
        *,
        learn: bool = False,
    ) -> web.StreamResponse:
        """Send a request on as it arrives; ``early`` is its body where it had to be read to tell.

        ``learn``: its answer may say what tools there are.
        """
        if incoming.upgrade is None:
            return await self._relayed(request, incoming, early, route, learn=learn)
        with self._tunnels.one():
            return await self._relayed(request, incoming, early, route, learn=learn)

    async def _relayed(
        self,
        request: web.BaseRequest,
        incoming: Incoming,
        early: Capture | None,
        route: Route,
        *,
        learn: bool,
    ) -> web.StreamResponse:
        outgoing, arriving = route.sent_as(incoming.request), None
        sent = Sent.READ if request.method in READ_ONLY else Sent.UNGUARDED
        cast(ClientConnection, request.protocol).sent = sent
        body: bytes | AsyncIterator[bytes] | None = None
        length = None
        if early is not None:
            body, length = body_read_before(request, early)
        elif request.can_read_body:
            arriving = ArrivingBody(request)
            whole, length = arriving.whole(), arriving.length
            body = arriving.pieces() if whole is None else whole
            await answer_expectation(request)
        try:
            with InterimRelay(request, self._via).open() as interim:
                response = await self._outbound.open(
                    outgoing, body=body, length=length, upgrade=incoming.upgrade, interim=interim
                )
        except SendFailed as failed:
            if request.content.exception() is not None:  # the upstream is not to blame
                return broken_off(request, arriving)
            url = shown_url(outgoing, route.identity.secrets)
            log.info("pass-through-failed", url=url, failure=failed.failure.value)
            problem = upstream_problem(failed.attempt())
            if failed.phase not in NOTHING_SENT:
                problem = replace(problem, detail=f"{problem.detail}. {sent.value}")
            return ProblemResponse(problem)
        if response.status == 101 and incoming.upgrade is not None:
            return await self._upgraded(request, response, incoming.upgrade)
        content: bytes | AsyncGenerator[bytes, None]
        if learn:
            content = self._judge.overhear(incoming, response.headers, _chunks(response))
        else:
            content = _chunks(response) if response.whole is None else response.whole
        return RawResponse(
            response.status,
            response.reason,
            not_ours(response.headers) + self._told_via(response.version),
            content,
            response.content_length,
            ended=response.aclose,
        )

    async def _upgraded(
        self, request: web.BaseRequest, response: OpenResponse, protocol: bytes
    ) -> web.StreamResponse:
        headers: RawHeaders = (*response.headers, (b"Connection", b"Upgrade"), (b"Upgrade", protocol))
        headers += self._told_via(response.version)
        transport, early = response.hijack()
        far = RelayEnd()
        transport.set_protocol(far)
        far.connection_made(transport)
        try:
            await request.writer.write(head_bytes(101, response.reason, headers))
            if early:
                far.data_received(early)
            transport.resume_reading()
            await self._tunnels.relay(cast(ClientConnection, request.protocol), far)
        finally:
            far.abort()  # also where the client has left before it could be told
        return HandedOver()

    def _told_via(self, version: str) -> RawHeaders:
        """Return what is added to a response that came in ``version``."""
        return () if self._via is None else via_line(version, self._via)


def _not_sent(kind: ProblemType, error: Exception, route: Route) -> ProblemResponse:
    return ProblemResponse(Problem(kind, f"{error}. Nothing was sent.", route=route.name))


async def _chunks(response: OpenResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.chunks():
            yield chunk
    finally:
        await response.aclose()
