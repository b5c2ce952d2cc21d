"""Requests that are not guarded: sent on as they arrive, and their answers given as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import replace
from typing import cast

import structlog
from aiohttp import web

from onceproxy.core.attempts import NOTHING_SENT, SendFailed
from onceproxy.core.hygiene import not_ours
from onceproxy.core.masking import shown_url
from onceproxy.core.messages import RawHeaders
from onceproxy.core.problems import upstream_problem
from onceproxy.core.routes import READ_ONLY, Route
from onceproxy.core.via import via_line
from onceproxy.guard.capture import Capture
from onceproxy.ingress.bodies import ArrivingBody, answer_expectation, body_read_before, broken_off
from onceproxy.ingress.client_connection import ClientConnection, Sent
from onceproxy.ingress.incoming import Incoming
from onceproxy.ingress.interim import InterimRelay
from onceproxy.ingress.judging import Judge
from onceproxy.ingress.ports import OpenResponse, Outbound
from onceproxy.ingress.responses import HandedOver, ProblemResponse, RawResponse
from onceproxy.ingress.tunnels import Tunnels
from onceproxy.signals.journey import UPSTREAM, Journey, Stage
from onceproxy.signals.signals import Signals

log = structlog.get_logger("onceproxy.ingress")


class Passing:
    """Passes requests through. ``judge`` may learn from their answers; ``via`` is as the handler's."""

    def __init__(
        self, outbound: Outbound, tunnels: Tunnels, judge: Judge, signals: Signals, via: bytes | None
    ) -> None:
        self._outbound = outbound
        self._tunnels = tunnels
        self._judge = judge
        self._signals = signals
        self._via = via

    def through(
        self,
        request: web.BaseRequest,
        incoming: Incoming,
        early: Capture | None,
        route: Route,
        journey: Journey,
        *,
        learn: bool = False,
    ) -> Awaitable[web.StreamResponse]:
        """Send a request on as it arrives; ``early`` is its body where it had to be read to tell.

        ``learn``: its answer may say what tools there are.
        """
        relay = self._relayed if incoming.upgrade is None else self._upgraded
        return relay(request, incoming, early, route, journey, learn=learn)

    async def _upgraded(
        self,
        request: web.BaseRequest,
        incoming: Incoming,
        early: Capture | None,
        route: Route,
        journey: Journey,
        *,
        learn: bool,
    ) -> web.StreamResponse:
        with self._tunnels.one("upgrade"):
            return await self._relayed(request, incoming, early, route, journey, learn=learn)

    async def _relayed(
        self,
        request: web.BaseRequest,
        incoming: Incoming,
        early: Capture | None,
        route: Route,
        journey: Journey,
        *,
        learn: bool,
    ) -> web.StreamResponse:
        journey.arrived(route.name)
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
            with InterimRelay(request, self._via) as interim, Stage(UPSTREAM, journey) as sending:
                response = await self._outbound.open(
                    sending.traced(outgoing),
                    body=body,
                    length=length,
                    upgrade=incoming.upgrade,
                    interim=interim,
                )
        except SendFailed as failed:
            if request.content.exception() is not None:  # the upstream is not to blame
                return broken_off(request, arriving)
            url = shown_url(outgoing, route.identity.secrets)
            log.info("pass-through-failed", url=url, failure=failed.failure.value)
            problem = upstream_problem(failed.attempt())
            if failed.phase not in NOTHING_SENT:
                problem = replace(problem, detail=f"{problem.detail}. {sent.value}")
            self._signals.passed(journey, sending, problem.type.status, problem)
            return ProblemResponse(problem)
        self._signals.passed(journey, sending, response.status)
        if response.status == 101 and incoming.upgrade is not None:
            await self._tunnels.upgraded(
                request, response, incoming.upgrade, self._told_via(response.version)
            )
            return HandedOver()
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
            ended=None if response.whole is not None else response.aclose,
        )

    def _told_via(self, version: str) -> RawHeaders:
        """Return what is added to a response that came in ``version``."""
        return () if self._via is None else via_line(version, self._via)


async def _chunks(response: OpenResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.chunks():
            yield chunk
    finally:
        await response.aclose()
