"""Sends requests: guarded ones exactly once, others as streams.

There is no redirect, no cookie, no decompression, no environment proxy and no retry of a mutation in here:
none of them was written. aiohttp's client has all of them, and resends PUT and DELETE on its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

from onceproxy.core.attempts import Attempt, Failure, SendFailed, WirePhase
from onceproxy.core.egress import EgressPolicy, Way
from onceproxy.core.messages import Body, Interim, Request, Response
from onceproxy.core.routes import READ_ONLY
from onceproxy.crashpoints import reach
from onceproxy.guard.growing import GrowingBody
from onceproxy.guard.room import ENDLESS, Room
from onceproxy.upstream.connection import UpstreamConnection
from onceproxy.upstream.dial import dial
from onceproxy.upstream.egress import Gate
from onceproxy.upstream.pool import IdleConnections
from onceproxy.upstream.sessions import Handshake, TlsContext
from onceproxy.upstream.streams import UpstreamResponse
from onceproxy.upstream.tls import UnknownCertificate, UpstreamTls
from onceproxy.upstream.writing import finish, request_head, start_writing

AT_ONCE = 64 * 1024  # bytes of a body that is written together with its head


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Seconds and bytes. ``response_timeout`` runs from the first byte sent to the last one received.

    ``idle_timeout``: an idle connection is used again, and kept, for that long. ``most_idle``: so many are
    kept for one origin; were they fewer than are busy at once, all the others would connect anew each time.
    ``room`` is where the bodies of guarded requests' responses lie.
    """

    connect_timeout: float = 10.0
    response_timeout: float = 600.0
    idle_timeout: float = 15.0
    max_head: int = 64 * 1024
    most_idle: int = 1000
    room: Room = ENDLESS


class UpstreamClient:
    """The guard's ``Execute`` and the ingress's ``Outbound`` in one."""

    def __init__(self, settings: UpstreamSettings, tls: UpstreamTls, gate: Gate) -> None:
        self._settings = settings
        self._gate = gate
        self._tls = tls
        self._idle = IdleConnections(settings.idle_timeout, settings.most_idle)

    def follow(self, egress: EgressPolicy) -> None:
        """Connect by another policy from now on; an idle connection that it forbids is not used again."""
        self._gate.follow(egress)

    def check(self, host: str, port: int) -> None:
        """Judge a host for HTTP by its name, before anything is done for it.

        Raises:
            SendFailed: no request may go there.
        """
        self._gate.check_name(host, port, Way.HTTP)

    async def aclose(self) -> None:
        """Close the idle connections."""
        self._idle.close()

    async def send(
        self,
        request: Request,
        may_send: Callable[[], bool],
        *,
        reuse_idle: float | None = None,
        head_arrived: Callable[[Response], None] | None = None,
        interim: Callable[[Interim], None] | None = None,
    ) -> Attempt:
        """Send a guarded request once and receive the whole response; see ``guard.ports.Execute``."""
        head = request_head(request, length=_length(request))
        longest_idle = self._settings.idle_timeout if reuse_idle is None else reuse_idle
        try:
            connection = self._kept(request, longest_idle) or await self._connected(request)
        except SendFailed as failed:
            return failed.attempt()
        reach("connected")
        try:
            return await self._send(connection, request, head, may_send, head_arrived, interim)
        except SendFailed as failed:
            return replace(failed.attempt(), status=connection.status)
        finally:
            self._let_go(connection)

    async def open(
        self,
        request: Request,
        *,
        body: bytes | AsyncIterator[bytes] | None = None,
        length: int | None = None,
        upgrade: bytes | None = None,
        interim: Callable[[Interim], None] | None = None,
    ) -> UpstreamResponse:
        """Send an unguarded request and return at its response's head.

        ``body`` is, or streams, a body of ``length`` bytes (None: it goes out chunked); without it the
        request's own is sent. A read that a reused connection is lost under before anything came back is
        sent once more.

        Raises:
            SendFailed: there is no response.
        """
        if body is None:
            head = request_head(request, length=_length(request), upgrade=upgrade)
        else:
            head = request_head(request, length=length, chunked=length is None, upgrade=upgrade)
        connection = self._kept(request, self._settings.idle_timeout) or await self._connected(request)
        try:
            return await self._open(connection, request, head, body, length, upgrade, interim)
        except SendFailed as failed:
            lost = failed.failure is Failure.CONNECTION_LOST
            stale = lost and connection.reused and not connection.answered
            if not stale or body is not None or request.method not in READ_ONLY:
                raise
        connection = await self._connected(request)
        return await self._open(connection, request, head, None, length, upgrade, interim)

    async def tunnel(
        self, host: str, port: int, protocol: Callable[[], asyncio.Protocol]
    ) -> asyncio.Protocol:
        """Connect to a host for opaque bytes.

        Raises:
            SendFailed: no connection.
        """
        return await dial(
            protocol,
            host,
            port,
            gate=self._gate,
            way=Way.TUNNEL,
            tls=None,
            timeout=self._settings.connect_timeout,
        )

    def _kept(self, request: Request, longest_idle: float) -> UpstreamConnection | None:
        """Return an idle connection, if there is one that may be used."""
        tls = self._context(request)
        while (connection := self._idle.take(request.origin, tls, longest_idle)) is not None:
            if self._may_use(connection):
                return connection
            connection.abort()
        return None

    async def _connected(self, request: Request) -> UpstreamConnection:
        """Return a new connection."""
        origin, tls = request.origin, self._context(request)
        policy = self._gate.policy
        handshake = None if tls is None else Handshake(tls, origin.port)
        connection = await dial(
            lambda: UpstreamConnection(origin, handshake),
            origin.host,
            origin.port,
            gate=self._gate,
            way=Way.HTTP,
            tls=handshake,
            timeout=self._settings.connect_timeout,
        )
        connection.admitted_by = policy
        return connection

    def _context(self, request: Request) -> TlsContext | None:
        if request.origin.scheme != "https":
            return None
        try:
            return self._tls.context_for(request.origin.host, request.client_certificate)
        except UnknownCertificate as error:
            raise SendFailed(WirePhase.CONNECTING, Failure.TLS_FAILED, str(error)) from None

    def _may_use(self, connection: UpstreamConnection) -> bool:
        """Say whether a connection may still be used: the policy may have changed since it was made."""
        policy = self._gate.policy
        if connection.admitted_by is not policy:
            if not self._gate.still_admits(connection.origin.host, connection.peer):
                return False
            connection.admitted_by = policy
        return True

    async def _send(
        self,
        connection: UpstreamConnection,
        request: Request,
        head: bytes,
        may_send: Callable[[], bool],
        head_arrived: Callable[[Response], None] | None,
        interim: Callable[[Interim], None] | None,
    ) -> Attempt:
        patience = self._settings.response_timeout
        connection.begin(request, self._settings.max_head, patience, interim=interim)
        if not may_send():
            detail = "the right to send ran out before a byte was sent (the database was away for too long)"
            return Attempt(WirePhase.SENT_NOTHING, failure=Failure.LEASE_LOST, detail=detail)
        due = connection.loop.time() + patience
        writing = start_writing(connection, head, _at_once(request.body))
        try:
            # An upstream may answer before it has read all; its answer counts, not what is left to send.
            answer = await connection.head(due)
            reach("head-received")
            body = GrowingBody(self._settings.room)
            response = Response(answer.status, answer.reason, answer.headers, body)
            if head_arrived is not None:
                head_arrived(response)
            while (piece := await connection.piece(due)) is not None:
                body.write(piece)
                if body.held:
                    due += await _room(body)
        finally:
            if writing is not None:
                await finish(writing)
        reach("body-received")
        return Attempt(WirePhase.BODY_RECEIVED, response=response, status=answer.status)

    async def _open(
        self,
        connection: UpstreamConnection,
        request: Request,
        head: bytes,
        body: bytes | AsyncIterator[bytes] | None,
        length: int | None,
        upgrade: bytes | None,
        interim: Callable[[Interim], None] | None,
    ) -> UpstreamResponse:
        patience = self._settings.response_timeout
        connection.begin(
            request, self._settings.max_head, patience, upgrade=upgrade is not None, interim=interim
        )
        content = _at_once(request.body) if body is None else body
        chunked = body is not None and length is None
        writing = None
        try:
            writing = start_writing(connection, head, content, chunked=chunked)
            answer = await connection.head(connection.loop.time() + patience)
        except BaseException:
            await finish(writing)
            self._let_go(connection)
            raise
        if upgrade is None and (whole := connection.whole()) is not None:
            if writing is not None:
                await finish(writing)
            self._let_go(connection)
            return UpstreamResponse(None, answer, None, self._let_go, patience, whole)
        return UpstreamResponse(connection, answer, writing, self._let_go, patience)

    def _let_go(self, connection: UpstreamConnection) -> None:
        if connection.handshake is not None and connection.status is not None:
            connection.handshake.keep()
        if connection.reusable:
            self._idle.give(connection)
        else:
            connection.abort()


def _length(request: Request) -> int | None:
    """Return the length to state: none for a bodiless request of a method that expects no body."""
    if request.body.size or request.method in ("POST", "PUT", "PATCH"):
        return request.body.size
    return None


def _at_once(body: Body) -> bytes | Iterator[bytes]:
    return body.read() if body.size <= AT_ONCE else body.chunks()


async def _room(body: GrowingBody) -> float:
    """Wait until more of the body may be written; return the seconds, which are not the upstream's time."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await body.room()
    return clock() - began
