"""Load over raw connections: each sends its next request when the last answer is whole and right."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import cast

from benchmarks.rounds import Spread, Wrong

PATIENCE = 30.0  # seconds for a connection, and for the last answers
REPLAYED = b"idempotency-replayed: true"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked")
_CLOSE = re.compile(rb"\r\n(proxy-)?connection: *close")


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it goes out, and the body that its answer must have."""

    sent: bytes
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """How requests go: to a port, and by CONNECT to ``tunnel`` (HOST:PORT), whose TLS ``trust`` verifies.

    ``unannounced``: it closes connections without saying so, and what is lost to that is asked anew.
    ``pid``: of the process that listens there, where that is asked for.
    """

    port: int
    tunnel: str = ""
    trust: ssl.SSLContext | None = None
    unannounced: bool = False
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run came to. Seconds, but for ``rate``, which is in requests a second."""

    answers: int
    rate: float
    p50: float
    p99: float


class Load:
    """Requests over so many connections; ``asks`` makes each request. Runs once a round.

    ``most``: it ends earlier when so many were sent.
    """

    def __init__(self, way: Way, asks: Callable[[], Ask], connections: int, *, most: float = inf) -> None:
        self.way = way
        self.asks = asks
        self.connections = connections
        self.most = most
        self.runs: list[Ran] = []
        self.sent = 0
        self.took: list[float] = []
        self.until = 0.0
        self.wrong: Wrong | None = None

    async def __call__(self, seconds: float) -> float:
        """Send for so many seconds; return the requests a second.

        Raises:
            Wrong: an answer was, or did not come.
        """
        self.took = []
        lines = [Line(self) for _ in range(self.connections)]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(line.open() for line in lines))
        began = time.perf_counter()
        self.until = began + seconds
        for line in lines:
            line.next()
        try:
            async with asyncio.timeout(seconds + PATIENCE):
                await asyncio.gather(*(line.ended for line in lines))
        except TimeoutError:
            raise Wrong(f"an answer did not come within {PATIENCE:g} seconds") from None
        passed = time.perf_counter() - began
        if self.wrong is not None:
            raise self.wrong
        took = sorted(self.took)
        ran = Ran(len(took), len(took) / passed, took[len(took) // 2], took[len(took) * 99 // 100])
        self.runs.append(ran)
        return ran.rate

    def latencies(self, rounds: int) -> tuple[Spread, Spread]:
        """Return p50 and p99 of the last rounds, in seconds."""
        runs = self.runs[-rounds:]
        return Spread(tuple(run.p50 for run in runs)), Spread(tuple(run.p99 for run in runs))


class Line(asyncio.Protocol):
    """One connection of a load, and those that come in its place when it is closed."""

    def __init__(self, load: Load) -> None:
        self._load = load
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._tunnelled: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._ask: Ask | None = None
        self._began = 0.0
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, through the tunnel where there is one."""
        loop, way = asyncio.get_running_loop(), self._load.way
        transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", way.port)
        if way.trust is not None:
            transport.write(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % ((way.tunnel.encode(),) * 2))
            await self._tunnelled
            name = way.tunnel.partition(":")[0]
            secure = await loop.start_tls(transport, self, way.trust, server_hostname=name)
            transport = cast(asyncio.Transport, secure)
        self._transport = transport

    def next(self) -> None:
        """Send the next request, or end when the time is over."""
        load = self._load
        now = time.perf_counter()
        over = now >= load.until or load.sent >= load.most or load.wrong is not None
        if over or self._transport is None:
            self._end()
            return
        load.sent += 1
        self._ask = load.asks()
        self._began = now
        self._transport.write(self._ask.sent)

    def data_received(self, data: bytes) -> None:
        """Take the answer."""
        self._buffer += data
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            return
        head = self._buffer[:at].lower()
        if self._transport is None:
            self._buffer = b""
            if head[9:12] == b"200":
                self._tunnelled.set_result(None)
            else:
                self._tunnelled.set_exception(Wrong(f"CONNECT got {head!r}"))
            return
        body = self._body(head, at + 4)
        if body is None:
            return
        ask, self._ask, self._buffer = self._ask, None, b""
        if ask is None or head[9:12] != b"200" or body != ask.body or (REPLAYED in head) is not ask.replayed:
            self._fail(f"a wrong answer: {head[:600]!r} {body[:100]!r}")
            return
        self._load.took.append(time.perf_counter() - self._began)
        if _CLOSE.search(head):
            self._again()
        else:
            self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Connect anew where the other side may close; else it is an error."""
        if self._transport is None or self.ended.done():
            return
        if self._ask is not None and (self._buffer or not self._load.way.unannounced):
            self._fail(f"the connection was lost before the answer ({exc})")
        else:
            self._again()

    def _body(self, head: bytes, start: int) -> bytes | None:
        """Return the body if it is whole."""
        if (length := _LENGTH.search(head)) is not None:
            end = start + int(length[1])
            return self._buffer[start:end] if len(self._buffer) >= end else None
        if not _CHUNKED.search(head):
            self._fail(f"an answer without a length: {head!r}")
            return None
        body = b""
        while (at := self._buffer.find(b"\r\n", start)) >= 0:
            size = int(self._buffer[start:at], 16)
            if len(self._buffer) < at + 2 + size + 2:
                return None
            if not size:
                return body
            body += self._buffer[at + 2 : at + 2 + size]
            start = at + 2 + size + 2
        return None

    def _again(self) -> None:
        old, self._transport, self._ask = self._transport, None, None
        if old is not None:
            old.set_protocol(asyncio.Protocol())
            old.close()
        self._opening = asyncio.get_running_loop().create_task(self._reopen())

    async def _reopen(self) -> None:
        try:
            await self.open()
        except OSError as error:
            self._fail(f"no connection any more: {error}")
            return
        self.next()

    def _fail(self, words: str) -> None:
        self._load.wrong = self._load.wrong or Wrong(words)
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.close()
