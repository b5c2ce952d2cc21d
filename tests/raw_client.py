"""A client that writes the bytes it is told to, and shows the bytes that it gets.

What a library would hide is what these tests are about: header lines in their case and order, framing, what
follows on a connection, and when it ends.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import http_sf

PATIENCE = 20.0  # seconds until a test that waits for an answer gives up


@dataclass(frozen=True)
class Reply:
    """A response as it arrived: ``head`` up to the empty line, and the content with its framing taken off."""

    head: bytes
    body: bytes = b""

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return self.head.split(b"\r\n", 1)[0].split(b" ", 2)[2].decode("latin-1")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header lines, names in their case, in order."""
        lines = self.head.decode("latin-1").rstrip("\r\n").split("\r\n")[1:]
        return tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))

    def all(self, name: str) -> list[str]:
        """The values of all header lines called ``name``."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value of the one header line called ``name``."""
        (value,) = self.all(name)
        return value

    @property
    def replayed(self) -> bool:
        """Whether it says that it comes from a receipt."""
        return self.all("Idempotency-Replayed") == ["true"]

    @property
    def own(self) -> tuple[bytes, bytes]:
        """All but what we say about the receipt: what must be the same for each copy of an action."""
        ours = (b"onceproxy-", b"idempotency-replayed", b"via: 1.1 onceproxy-")
        lines = self.head.split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.lower().startswith(ours)), self.body

    @property
    def told(self) -> dict[str, Any]:
        """What ``Onceproxy-Status`` says: the state and its parameters, in their order."""
        # The library's types name all that a field can hold, not what this one does.
        fields: Any = http_sf.parse(self.one("Onceproxy-Status").encode(), tltype="dictionary")
        assert list(fields) == ["state"]
        state, parameters = fields["state"]
        return {"state": str(state)} | {
            key: value if isinstance(value, int) else str(value) for key, value in parameters.items()
        }

    def problem(self) -> dict[str, Any]:
        """The members of a problem of ours."""
        assert self.one("Content-Type") == "application/problem+json"
        assert self.one("Proxy-Status").startswith("onceproxy;error=")
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document

    @property
    def slug(self) -> str:
        """The short name of a problem of ours."""
        text: str = self.problem()["type"]
        return text.removeprefix("urn:onceproxy:problem:")


def a_request(
    method: str, target: str, *lines: str, body: bytes | None = None, version: str = "HTTP/1.1"
) -> bytes:
    """A request's bytes. ``Host`` is made from an absolute target; ``Content-Length`` from ``body``."""
    host = urlsplit(target).netloc or "127.0.0.1"
    head = [f"{method} {target} {version}"]
    if not any(line.lower().startswith("host:") for line in lines):
        head.append(f"Host: {host}")
    head += lines
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")


class RawClient:
    """One connection, to a proxy or through one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Write and flush."""
        self.writer.write(data)
        await self.writer.drain()

    def stop_reading(self) -> None:
        """Take nothing more of what the other side says; the kernel's buffers fill."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    async def ask(self, data: bytes) -> Reply:
        """Write a request and read the response, past interim ones."""
        await self.send(data)
        while True:
            reply = await self.reply(to=data.split(b" ", 1)[0].decode())
            if reply.status >= 200 or reply.status == 101:
                return reply

    async def reply(self, *, to: str = "POST") -> Reply:
        """Read the response to a request of method ``to``."""
        async with asyncio.timeout(PATIENCE):
            reply = Reply(await self.reader.readuntil(b"\r\n\r\n"))
            if to == "HEAD" or reply.status < 200 or reply.status in (204, 304):
                return reply
            if to == "CONNECT" and reply.status == 200:
                return reply
            if lengths := reply.all("Content-Length"):
                return Reply(reply.head, await self.reader.readexactly(int(lengths[0])))
            if reply.all("Transfer-Encoding") == ["chunked"]:
                return Reply(reply.head, await self._chunked())
            return Reply(reply.head, await self.reader.read())

    async def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def ended(self) -> bool:
        """Wait for the end of the connection; say whether nothing came before it."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True

    async def connect(self, authority: str, *lines: str) -> Reply:
        """Open a tunnel."""
        return await self.ask(a_request("CONNECT", authority, f"Host: {authority}", *lines))

    async def secure(self, context: ssl.SSLContext, name: str) -> ssl.SSLObject:
        """Begin TLS as a client; return what was agreed on."""
        async with asyncio.timeout(PATIENCE):
            await self.writer.start_tls(context, server_hostname=name)
        agreed: ssl.SSLObject = self.writer.get_extra_info("ssl_object")
        return agreed

    async def close(self) -> None:
        """Close it, whatever its state."""
        self.writer.transport.abort()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)

    async def _chunked(self) -> bytes:
        body = b""
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[RawClient]:
    """A connection to the host and port of ``url``."""
    where = urlsplit(url)
    client = RawClient(*await asyncio.open_connection(where.hostname, where.port, limit=1 << 20))
    try:
        yield client
    finally:
        await client.close()


async def ask(url: str, data: bytes) -> Reply:
    """Send one request on a connection of its own and return the response."""
    async with connected(url) as client:
        return await client.ask(data)


async def post(url: str, target: str, *lines: str, body: bytes = b'{"amount": 100}') -> Reply:
    """Send one POST on a connection of its own and return the response."""
    return await ask(url, a_request("POST", target, *lines, body=body))
