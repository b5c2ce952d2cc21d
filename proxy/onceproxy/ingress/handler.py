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
from onceproxy.core.masking import shown_url
from onceproxy.core.messages import RawHeaders, Request
from onceproxy.core.policies import Mode
from onceproxy.core.problems import Problem, ProblemType, upstream_problem
from onceproxy.core.routes import READ_ONLY, Route, RouteTable
from onceproxy.core.rules import IdentityRules
from onceproxy.core.users import EVERYBODY, Login, Users
from onceproxy.core.verdicts import Verdict
from onceproxy.core.via import via_line
from onceproxy.guard.capture import Capture
from onceproxy.guard.guard import Guard
from onceproxy.ingress.asked_of_us import answer_ourselves
from onceproxy.ingress.client_connection import ClientConnection, Sent
from onceproxy.ingress.connect import Connector, relay_client
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

log = structlog.get_logger("onceproxy.ingress")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


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
        credential: Callable[[Request, IdentityRules], bytes],
        rules: IngressRules,
        via: bytes | None = None,
    ) -> None:
        self._guard = guard
        self._outbound = outbound
        self._connector = connector
        self._credential = credential
        self._rules = rules
        self._logins = Logins(rules.users)
        self._via = via
        self._judge = Judge()

    def follow(self, rules: IngressRules) -> None:
        """Treat the requests that come from now on by other rules; those under way keep theirs."""
        self._rules = rules
        self._logins = Logins(rules.users, self._logins)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
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
                body = await _read_body(request, rules.request_body)
                route = await find_route(rules.routes, replace(incoming.request, body=body))
            route = route.asked_for(incoming.mode)
            if route.policy.mode is Mode.OFF:
                return await self._pass_through(request, incoming, body, route)
            if body is None and route.needs_body(incoming.request):
                body = await _read_body(request, rules.request_body)
            whole = incoming.request if body is None else replace(incoming.request, body=body)
            verdict = await self._judge.verdict(route, replace(incoming, request=whole))
            if not verdict.action:
                return await self._pass_through(request, incoming, body, route, learn=verdict.lists_tools)
            if body is None:
                if passes_by(incoming.request, route.identity):
                    return await self._pass_through(request, incoming, None, route)
                body = await _read_body(request, rules.request_body)
            return await self._guarded(request, incoming, body, route, verdict)
        except Refused as refused:
            return ProblemResponse(refused.problem, close=True)

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
        outgoing = route.sent_as(incoming.request)
        sent = Sent.READ if request.method in READ_ONLY else Sent.UNGUARDED
        cast(ClientConnection, request.protocol).sent = sent
        if early is None:
            body, length = _request_body(request)
            if body is not None:
                await _answer_expectation(request)
        else:
            body, length = _read_before(request, early)
        try:
            with InterimRelay(request, self._via).open() as interim:
                response = await self._outbound.open(
                    outgoing, body=body, length=length, upgrade=incoming.upgrade, interim=interim
                )
        except SendFailed as failed:
            if request.content.exception() is not None:  # the upstream is not to blame
                return _broken_off(request)
            url = shown_url(outgoing, route.identity.secrets)
            log.info("pass-through-failed", url=url, failure=failed.failure.value)
            problem = upstream_problem(failed.attempt())
            if failed.phase not in NOTHING_SENT:
                problem = replace(problem, detail=f"{problem.detail}. {sent.value}")
            return ProblemResponse(problem)
        if response.status == 101 and incoming.upgrade is not None:
            return await self._upgraded(request, response, incoming.upgrade)
        chunks = _relayed(response)
        if learn:
            chunks = self._judge.overhear(incoming, response.headers, chunks)
        return RawResponse(
            response.status,
            response.reason,
            not_ours(response.headers) + self._told_via(response.version),
            chunks,
            response.content_length,
            ended=response.aclose,
        )

    async def _upgraded(
        self, request: web.BaseRequest, response: OpenResponse, protocol: bytes
    ) -> web.StreamResponse:
        headers: RawHeaders = (*response.headers, (b"Connection", b"Upgrade"), (b"Upgrade", protocol))
        headers += self._told_via(response.version)
        await request.writer.write(head_bytes(101, response.reason, headers))
        transport, early = response.hijack()
        far = RelayEnd()
        transport.set_protocol(far)
        far.connection_made(transport)
        if early:
            far.data_received(early)
        transport.resume_reading()
        await relay_client(cast(ClientConnection, request.protocol), far)
        return HandedOver()

    def _told_via(self, version: str) -> RawHeaders:
        """Return what is added to a response that came in ``version``."""
        return () if self._via is None else via_line(version, self._via)


def _not_sent(kind: ProblemType, error: Exception, route: Route) -> ProblemResponse:
    return ProblemResponse(Problem(kind, f"{error}. Nothing was sent.", route=route.name))


def _broken_off(request: web.BaseRequest) -> ProblemResponse:
    """Return what is said of a body that turned bad while it was sent on."""
    sent = cast(ClientConnection, request.protocol).sent
    detail = f"The body did not arrive whole, or is no valid HTTP/1.1; send all of it. {sent.value}"
    return ProblemResponse(Problem(ProblemType.BAD_REQUEST, detail), close=True)


def _request_body(request: web.BaseRequest) -> tuple[AsyncIterator[bytes] | None, int | None]:
    if not request.can_read_body:
        return None, None
    return request.content.iter_any().__aiter__(), request.content_length


def _read_before(request: web.BaseRequest, body: Capture) -> tuple[AsyncIterator[bytes] | None, int | None]:
    """Return a body that was read already, framed as it came."""
    if not body.size and request.content_length is None:
        return None, None

    async def pieces() -> AsyncIterator[bytes]:
        for piece in body.chunks():
            yield piece

    return pieces(), request.content_length


async def _read_body(request: web.BaseRequest, limit: int) -> Capture:
    """Read the whole body before anything is claimed: half a message is no message (RFC 9112 §8)."""
    body = Capture()
    if (request.content_length or 0) <= limit:
        if request.can_read_body:
            await _answer_expectation(request)
        try:
            async for chunk in request.content.iter_any():
                body.write(chunk)
                if body.size > limit:
                    break
            else:
                return body
        except (web.RequestPayloadError, ConnectionError):
            raise Refused(ProblemType.BAD_REQUEST, "The body did not arrive whole; send all of it.") from None
    raise Refused(
        ProblemType.BODY_TOO_LARGE,
        f"The body is larger than {limit} bytes; send less, or raise limits.request_body.",
    )


async def _answer_expectation(request: web.BaseRequest) -> None:
    """Ask for the body that the client holds back (RFC 9110 §10.1.1); the upstream is not asked."""
    if request.version >= (1, 1) and "expect" in request.headers:
        await request.writer.write(CONTINUE)


async def _relayed(response: OpenResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.chunks():
            yield chunk
    finally:
        await response.aclose()
