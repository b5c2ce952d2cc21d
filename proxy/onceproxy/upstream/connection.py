"""One connection to an upstream, and an exact account of how far a request came on it."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import AsyncIterator, Callable
from typing import cast

from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.core.credential import is_for_connection
from onceproxy.core.egress import EgressPolicy
from onceproxy.core.messages import Interim, Origin, Request
from onceproxy.crashpoints import reach
from onceproxy.upstream.parser import Head, Malformed, ResponseParser
from onceproxy.upstream.tls import ended_in_order

BUFFERED = 256 * 1024  # bytes of a body that wait for their reader before the upstream is slowed down

_ORDER = {phase: at for at, phase in enumerate(WirePhase)}
# What OpenSSL calls the alerts that are about the certificate of the one they are sent to (RFC 8446 §6.2).
_ABOUT_CERTIFICATES = (
    *("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED"),
    *("CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA"),
)
_WORDS = {
    WirePhase.SENT_NOTHING: "before a byte of the request was sent",
    WirePhase.SENDING: "while the request was being sent",
    WirePhase.SENT: "after the whole request was sent",
    WirePhase.HEAD_RECEIVED: "amid the response",
    WirePhase.BODY_RECEIVED: "after the response",
}


class UpstreamConnection(asyncio.Protocol):
    """A connection that carries one request at a time. ``phase`` is that of the present request."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.phase = WirePhase.SENT_NOTHING
        self.reused = False
        self.admitted_by: EgressPolicy | None = None  # the policy that last judged where it leads
        self.answered = False  # whether a byte of a response to the present request arrived
        self._transport: asyncio.Transport | None = None
        self._tls_version: str | None = None
        self._parser: ResponseParser | None = None
        self._personal = False
        self._interim: Callable[[Interim], None] | None = None
        self._failed: SendFailed | None = None
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._buffered = 0
        self._paused = False
        self._all_sent = False

    @property
    def open(self) -> bool:
        """Whether it can carry a request."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def quiet(self) -> bool:
        """Whether it is open and nothing arrived while it lay idle, the end of it included.

        The kernel is asked: what it holds was not told to us yet, and would be taken for the response to the
        next request.
        """
        if not self.open:
            return False
        arrived = select.poll()
        arrived.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not arrived.poll(0)

    @property
    def peer(self) -> tuple[str, int]:
        """The address and port that it leads to."""
        name = self.transport.get_extra_info("peername")
        return str(name[0]), int(name[1])

    @property
    def status(self) -> int | None:
        """The status of the response to the present request, if its head is there."""
        head = self._parser.head if self._parser is not None else None
        return head.status if head is not None else None

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, TLS included."""
        if self._transport is None:
            raise ConnectionResetError("not connected")
        return self._transport

    def begin(
        self,
        request: Request,
        max_head: int,
        *,
        upgrade: bool = False,
        interim: Callable[[Interim], None] | None = None,
    ) -> None:
        """Get ready for a request; ``interim`` is told each interim response to it."""
        self._interim = interim
        self._parser = ResponseParser(request.method, max_head, upgrade=upgrade)
        self._personal = is_for_connection(request.headers)
        self._failed = None
        self._news.clear()
        self._buffered = 0
        self._all_sent = False
        self.answered = False
        self.phase = WirePhase.SENT_NOTHING

    async def write(self, data: bytes) -> None:
        """Hand bytes to the operating system; returns when it has taken them all.

        Raises:
            SendFailed: the connection is gone.
        """
        if self._failed is None and not self.open:
            self._fail(self._failure(Failure.CONNECTION_LOST, "the connection was closed"))
        if self._failed is not None:
            raise self._failed
        self._reach(WirePhase.SENDING)
        self.transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
            if self._failed is not None:
                raise self._failed

    def all_written(self) -> None:
        """Note that the request was sent to its end."""
        self._all_sent = True
        self._reach(WirePhase.SENT)
        reach("request-sent")

    async def head(self) -> Head:
        """Return the final response's head.

        Raises:
            SendFailed: it did not come, or is no HTTP.
        """
        parser = self._present()
        while parser.head is None:
            await self._wait()
        return parser.head

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises ``SendFailed`` where it is cut."""
        parser = self._present()
        while True:
            while parser.pieces:
                piece = parser.pieces.popleft()
                self._buffered -= len(piece)
                if self._paused and self._buffered < BUFFERED // 2:
                    self._paused = False
                    if self.open:
                        self.transport.resume_reading()
                yield piece
            if parser.complete:
                self._reach(WirePhase.BODY_RECEIVED)
                return
            await self._wait()

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent on it."""
        parser = self._parser
        if parser is None or parser.head is None or (self._personal and parser.head.status != 401):
            return False  # where the upstream has logged a connection in, nobody else's request may follow
        return self.open and self._all_sent and parser.reusable and not parser.pieces

    def rest(self) -> bytes:
        """Return the bytes behind the head of a 101."""
        return self._present().rest

    def timed_out(self, seconds: float) -> SendFailed:
        """Return the failure of a request that took too long."""
        return self._failure(Failure.TIMEOUT, f"no whole response within {seconds:g} seconds")

    def rest_idle(self) -> None:
        """Get ready to lie idle: whatever arrives from now on ends the connection."""
        self._parser = None

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. It reports when all bytes are out, not when there is room for some more."""
        self._transport = cast(asyncio.Transport, transport)
        # Not 0: a TLS transport pauses *at* its limit, so it would pause with nothing to write and stay so.
        self._transport.set_write_buffer_limits(high=1)
        if (encrypted := transport.get_extra_info("ssl_object")) is not None:
            self._tls_version = encrypted.version()  # an object that has failed does not tell any more

    def data_received(self, data: bytes) -> None:
        """Parse, and slow the upstream down where the reader does not keep up."""
        parser = self._parser
        if parser is None:  # nobody asked: no response is due on an idle connection
            self.abort()
            return
        if self.phase is WirePhase.SENT_NOTHING:
            self._fail(self._failure(Failure.MALFORMED_RESPONSE, "it answered before it was asked"))
            return
        self.answered = True
        before = len(parser.pieces)
        malformed: Malformed | None = None
        try:
            parser.feed(data)
        except Malformed as error:
            malformed = error
        while parser.interim:
            told = parser.interim.popleft()
            if self._interim is not None:
                self._interim(told)
        if parser.head is not None:
            self._reach(WirePhase.HEAD_RECEIVED)
        if malformed is not None:
            self._fail(self._failure(Failure.MALFORMED_RESPONSE, f"the response is malformed ({malformed})"))
            return
        self._buffered += sum(len(parser.pieces[at]) for at in range(before, len(parser.pieces)))
        if self._buffered > BUFFERED and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """Take the end of what the upstream sends; some bodies end so."""
        if self._parser is not None and ended_in_order(self.transport):
            self._parser.end()
        self._ended("the connection was closed")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        if isinstance(exc, ssl.SSLError) and self._parser is not None and self._not_let_in(exc):
            words = f"it does not take our client certificate, or wants one ({exc.reason}): nothing was read"
            detail = f"{self.origin.host_header}: {words}; see tls.client_certificates"
            self._fail(SendFailed(WirePhase.CONNECTING, Failure.TLS_FAILED, detail))
        self._ended("the connection was closed" if exc is None else "the connection was reset")
        self._transport = None
        self._writable.set()

    def pause_writing(self) -> None:
        """Not all bytes are out."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """All bytes are out."""
        self._writable.set()

    def _ended(self, words: str) -> None:
        parser = self._parser
        if parser is None:
            return
        if not parser.complete and self._failed is None:
            self._fail(self._failure(Failure.CONNECTION_LOST, words))
        self._news.set()

    def _not_let_in(self, error: ssl.SSLError) -> bool:
        """Say whether the upstream ended TLS 1.3 because of our certificate: proof that it read no request.

        There the client's handshake ends before the server has looked at its certificate, so the request is
        on its way by then. The server reads it only after the certificate (RFC 8446 §4.4), and we offer no
        authentication later on (§4.6.2), so these alerts can mean nothing else.
        """
        about = any(alert in (error.reason or "") for alert in _ABOUT_CERTIFICATES)
        fresh = not (self.answered or self.reused or self._failed)
        return self._tls_version == "TLSv1.3" and about and fresh

    def _fail(self, failed: SendFailed) -> None:
        self._failed = failed
        self._news.set()
        self._writable.set()
        self.abort()

    async def _wait(self) -> None:
        if self._failed is not None:
            raise self._failed
        self._news.clear()
        await self._news.wait()

    def _present(self) -> ResponseParser:
        if self._parser is None:
            raise RuntimeError("no request was begun on this connection")
        return self._parser

    def _reach(self, phase: WirePhase) -> None:
        if _ORDER[phase] > _ORDER[self.phase]:
            self.phase = phase

    def _failure(self, failure: Failure, words: str) -> SendFailed:
        detail = f"{self.origin.host_header}: {words} {_WORDS[self.phase]}"
        return SendFailed(self.phase, failure, detail)
