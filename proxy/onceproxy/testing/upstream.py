"""An upstream API on a real socket that counts what reaches it, and misbehaves on demand.

Each request is recorded before anything is answered: ``len(upstream.requests)`` is the number of executions.
What comes next is a *behaviour*; ``upstream.will(…)`` queues some, and ``upstream.always`` is for the rest.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import cast

from onceproxy.testing.listening import Listening

READS = ("GET", "HEAD", "OPTIONS", "TRACE")
PATIENCE = 20.0  # seconds until a test that waits for something gives up

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived. ``headers`` keep their case, order and repetitions; ``raw`` is the head."""

    method: str
    target: str
    headers: Headers
    body: bytes
    connection: int
    raw: bytes

    def all(self, name: str) -> list[str]:
        """The values of all header lines called ``name``."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Conversation:
    """One request's side of a connection, for behaviours. ``keep`` says whether it stays open afterwards."""

    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keep: bool = True

    async def send(self, data: bytes) -> None:
        """Write and flush."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST."""
        _reset(self.writer)
        self.keep = False


Behaviour = Callable[[Conversation], Awaitable[None]]
Door = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(
    status: int = 201, body: bytes | None = None, headers: Headers = (), *, reason: str = "Made"
) -> Behaviour:
    """Answer whole. Without a ``body`` it names the request's target."""

    async def behave(talk: Conversation) -> None:
        content = body if body is not None else b'{"target": "%s"}' % talk.seen.target.encode()
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{n}: {v}" for n, v in headers)]
        if status >= 200 and status not in (204, 304):
            lines.append(f"Content-Length: {len(content)}")
        else:
            content = b""
        head = "\r\n".join(lines) + "\r\n\r\n"
        await talk.send(head.encode("latin-1") + (b"" if talk.seen.method == "HEAD" else content))

    return behave


def raw(data: bytes, *, then: str = "close") -> Behaviour:
    """Write bytes as they are; ``then`` ``close``, ``reset``, ``hang`` or ``keep`` the connection."""

    async def behave(talk: Conversation) -> None:
        await talk.send(data)
        if then == "reset":
            talk.reset()
        elif then == "hang":
            await hang(talk)
        talk.keep = then == "keep"

    return behave


async def close(talk: Conversation) -> None:
    """Read the whole request and close without an answer."""
    talk.keep = False


async def lost(talk: Conversation) -> None:
    """Do what is asked for, and close the connection without an answer: nobody can tell that it was done."""
    await close(talk)


async def reset(talk: Conversation) -> None:
    """Read the whole request and reset the connection."""
    talk.reset()


async def hang(talk: Conversation) -> None:
    """Never answer; ends when the other side leaves."""
    talk.keep = False
    await talk.reader.read()


def after(gate: asyncio.Event, then: Behaviour) -> Behaviour:
    """Wait for ``gate``, then go on with another behaviour."""

    async def behave(talk: Conversation) -> None:
        await gate.wait()
        await then(talk)

    return behave


def closing(then: Behaviour) -> Behaviour:
    """Do as ``then`` and close the connection without saying so."""

    async def behave(talk: Conversation) -> None:
        await then(talk)
        talk.keep = False

    return behave


def door(read: int | bytes = 0, say: bytes = b"", *, then: str = "reset") -> Door:
    """Read so many bytes, or up to some bytes, of what comes, and write ``say``.

    ``then`` is ``close``, ``reset`` or ``hang``. No request is recorded: none was read to its end.
    """

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(read, bytes):
            await reader.readuntil(read)
        else:
            await reader.readexactly(read)
        writer.write(say)
        await writer.drain()
        if then == "reset":
            _reset(writer)
        elif then == "hang":
            await asyncio.Event().wait()  # until the test ends; what comes meanwhile stays unread

    return behave


@dataclass
class Upstream:
    """A server on loopback. An async context manager; ``url`` is there inside."""

    tls: ssl.SSLContext | None = None
    always: Behaviour = field(default_factory=answer)
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _next: deque[Behaviour] = field(default_factory=deque)
    _doors: deque[Door] = field(default_factory=deque)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _listening: Listening = field(init=False)

    def __post_init__(self) -> None:
        self._listening = Listening(self._serve)

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        scheme, host = ("https", "localhost") if self.tls is not None else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    @property
    def executions(self) -> int:
        """How many requests that are no reads arrived."""
        return sum(seen.method not in READS for seen in self.requests)

    def will(self, *behaviours: Behaviour) -> None:
        """Queue behaviours for the next requests."""
        self._next.extend(behaviours)

    def at_the_door(self, *doors: Door) -> None:
        """Queue what happens to the next connections, instead of reading requests from them."""
        self._doors.extend(doors)

    async def arrived(self, count: int) -> None:
        """Wait until ``count`` requests have arrived in all."""
        async with asyncio.timeout(PATIENCE), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)

    async def __aenter__(self) -> Upstream:
        self.port = await self._listening.on_port(self.port, tls=self.tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        if self._doors:
            await self._doors.popleft()(reader, writer)
            return
        while await self._one(reader, writer, number):
            pass

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = tuple((n, v.strip()) for n, _, v in (line.partition(":") for line in lines))
        lower = {name.lower(): value for name, value in headers}
        if "chunked" in lower.get("transfer-encoding", ""):
            body = await _chunked(reader)
        else:
            body = await reader.readexactly(int(lower.get("content-length", "0")))
        seen = Seen(method, target, headers, body, number, head)
        async with self._arrived:
            self.requests.append(seen)
            self._arrived.notify_all()
        talk = Conversation(seen, reader, writer)
        await (self._next.popleft() if self._next else self.always)(talk)
        return talk.keep


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = cast(socket.socket | None, writer.get_extra_info("socket"))
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return body
