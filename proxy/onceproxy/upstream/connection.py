"""One connection to an upstream, and an exact account of how far a request came on it."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import cast

from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.core.credential import is_for_connection
from onceproxy.core.egress import EgressPolicy
from onceproxy.core.messages import Interim, Origin, Request
from onceproxy.crashpoints import reach
from onceproxy.upstream.deadline import News
from onceproxy.upstream.endings import WHEN, is_about_our_certificate
from onceproxy.upstream.parser import Head, Malformed, ResponseParser
from onceproxy.upstream.sessions import Handshake
from onceproxy.upstream.tls import ended_in_order

BUFFERED = 256 * 1024  # bytes of a body that wait for their reader before the upstream is slowed down

_ORDER = {phase: at for at, phase in enumerate(WirePhase)}


class UpstreamConnection(asyncio.Protocol):
    """A connection that carries one request at a time. ``phase`` is that of the present request.

    ``context``, that of its handshake, is who we are on it. ``loop`` is the event loop: with each request it
    is asked for its time, and only once for itself.
    """

    def __init__(self, origin: Origin, handshake: Handshake | None = None) -> None:
        self.origin = origin
        self.context = None if handshake is None else handshake.context
        self.handshake = handshake
        self.loop = asyncio.get_running_loop()
        self.phase = WirePhase.SENT_NOTHING
        self.reused = False
        self.admitted_by: EgressPolicy | None = None  # the policy that last judged where it leads
        self.answered = False  # whether a byte of a response to the present request arrived
        self._transport: asyncio.Transport | None = None
        self._tls_version: str | None = None
        self._parser: ResponseParser | None = None  # while a request is under way
        self._reader: ResponseParser | None = None  # the same, kept for the next one
        self._personal = False
        self._interim: Callable[[Interim], None] | None = None
        self._failed: SendFailed | None = None
        self._news = News(self._late, self.loop)
        self._patience = 0.0
        self._arrived: select.poll | None = None
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
        if self._arrived is None:
            self._arrived = select.poll()
            self._arrived.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._arrived.poll(0)

    @property
    def peer(self) -> tuple[str, int]:
        """The address and port that it leads to."""
        name = self.transport.get_extra_info("peername")
        return str(name[0]), int(name[1])

    @property
    def status(self) -> int | None:
        """The status of the response to the present request, if its head is there."""
        return None if self._parser is None or self._parser.head is None else self._parser.head.status

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
        patience: float,
        *,
        upgrade: bool = False,
        interim: Callable[[Interim], None] | None = None,
    ) -> None:
        """Get ready for a request that has ``patience`` seconds; ``interim`` is told 1xx responses."""
        self._interim = interim
        if (reader := self._reader) is None or not reader.ended:
            reader = self._reader = ResponseParser(request.method, max_head, upgrade=upgrade)
        else:
            reader.begin(request.method, max_head, upgrade=upgrade)
        self._parser = reader
        self._personal = is_for_connection(request.headers)
        self._failed = None
        self._patience = patience
        self._buffered = 0
        self._all_sent = False
        self.answered = False
        self.phase = WirePhase.SENT_NOTHING

    def send(self, data: bytes) -> bool:
        """Hand bytes to the operating system; return whether it has taken them all.

        Raises:
            SendFailed: the connection is gone.
        """
        if self._failed is None and not self.open:
            self._fail(self._failure(Failure.CONNECTION_LOST, "the connection was closed"))
        if self._failed is not None:
            raise self._failed
        self._reach(WirePhase.SENDING)
        self.transport.write(data)
        return self._writable.is_set()

    async def drained(self) -> None:
        """Return when the operating system has taken all bytes. Raises as ``send`` does."""
        await self._writable.wait()
        if self._failed is not None:
            raise self._failed

    def all_written(self) -> None:
        """Note that the request was sent to its end."""
        self._all_sent = True
        self._reach(WirePhase.SENT)
        reach("request-sent")

    async def head(self, due: float) -> Head:
        """Return the final response's head, which has until ``due``, on the event loop's clock.

        Raises:
            SendFailed: it did not come, or is no HTTP.
        """
        parser = self._present()
        while parser.head is None:
            self._must_live()
            await self._news.wait(due)
        return parser.head

    async def piece(self, due: float) -> bytes | None:
        """Return the next piece of the body, which has until ``due``; None: it has ended.

        Raises:
            SendFailed: it was cut, or is late.
        """
        parser = self._present()
        while not parser.pieces:
            if parser.complete:
                self._reach(WirePhase.BODY_RECEIVED)
                return None
            self._must_live()
            await self._news.wait(due)
        piece = parser.pieces.popleft()
        self._buffered -= len(piece)
        if self._paused and self._buffered < BUFFERED // 2:
            self._paused = False
            if self.open:
                self.transport.resume_reading()
        return piece

    def whole(self) -> bytes | None:
        """Return the body, if all of it is here and its reader has taken nothing yet; it is taken then."""
        parser = self._present()
        if not parser.complete or self._paused:
            return None
        body = b"".join(parser.pieces)
        parser.pieces.clear()
        self._buffered = 0
        self._reach(WirePhase.BODY_RECEIVED)
        return body

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

    def rest_idle(self) -> None:
        """Get ready to lie idle: whatever arrives from now on ends the connection.

        Who asked last is forgotten, as the answer's body goes with the last that knows of it.
        """
        self._parser = None
        self._interim = None

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
        for at in range(before, len(parser.pieces)):
            self._buffered += len(parser.pieces[at])
        if self._buffered > BUFFERED and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._news.tell()

    def eof_received(self) -> bool:
        """Take the end of what the upstream sends; some bodies end so."""
        if self._parser is not None and ended_in_order(self.transport):
            self._parser.end()
        self._ended("the connection was closed")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        fresh = self._parser is not None and not (self.answered or self.reused or self._failed)
        if fresh and isinstance(exc, ssl.SSLError) and is_about_our_certificate(exc, self._tls_version):
            words = f"it does not take our client certificate, or wants one ({exc.reason}): nothing was read"
            detail = f"{self.origin.host_header}: {words}; see tls.client_certificates"
            self._fail(SendFailed(WirePhase.CONNECTING, Failure.TLS_FAILED, detail))
        self._ended("the connection was closed" if exc is None else "the connection was reset")
        self._transport = None
        self._news.drop()
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
        self._news.tell()

    def _fail(self, failed: SendFailed) -> None:
        self._failed = failed
        self._news.tell()
        self._writable.set()
        self.abort()

    def _must_live(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _late(self) -> None:
        words = f"no whole response within {self._patience:g} seconds"
        self._fail(self._failure(Failure.TIMEOUT, words))

    def _present(self) -> ResponseParser:
        if self._parser is None:
            raise RuntimeError("no request was begun on this connection")
        return self._parser

    def _reach(self, phase: WirePhase) -> None:
        if _ORDER[phase] > _ORDER[self.phase]:
            self.phase = phase

    def _failure(self, failure: Failure, words: str) -> SendFailed:
        detail = f"{self.origin.host_header}: {words} {WHEN[self.phase]}"
        return SendFailed(self.phase, failure, detail)
