"""An upstream that takes down each byte, and to which all that two servers could read differently is a fault.

The one of ``upstreams`` behaves as it is told to, this one judges what it is sent. It demands less than
RFC 9112 allows, and all that a proxy has to write which builds its requests anew.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from listening import Listening

HOP_BY_HOP = frozenset(
    {"keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"}
)

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\*|/[\x21-\x22\x24-\x7e\x80-\xff]*) HTTP/1\.1")
_HEADER = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
    rb"[\x21-\x7e\x80-\xff])?)?)"
)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_CHUNK = re.compile(rb"[1-9a-f][0-9a-f]{0,14}\r\n")


class Fault(Exception):
    """What came is no request that every server reads the same."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request, to the byte: ``raw`` is all of it, ``body`` the content without its framing."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    raw: bytes

    def values(self, name: str) -> list[bytes]:
        """The values of the header lines called ``name``."""
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]


@dataclass
class Recorder:
    """What came, and what was wrong with it. ``host`` is how the upstream is addressed."""

    host: str = ""
    requests: list[Recorded] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unfinished: list[bytes] = field(default_factory=list)

    def take_faults(self) -> list[str]:
        """Return what was wrong so far, and forget it."""
        faults, self.faults = self.faults, []
        return faults

    def of(self, mark: str) -> list[Recorded]:
        """The requests whose bytes hold a mark."""
        return [one for one in self.requests if mark.encode() in one.raw]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        tape = _Tape(reader)
        while True:
            try:
                request = await self._one(tape)
            except Fault as fault:
                self.faults.append(f"{fault}: {tape.taken[-2000:]!r}")
                return
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                left = error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
                if tape.taken or left:
                    self.unfinished.append(tape.taken + left)
                return
            self.requests.append(request)
            told = b"" if request.method == "HEAD" else request.target.encode("latin-1")
            length = len(request.target)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (length, told))
            await writer.drain()

    async def _one(self, tape: _Tape) -> Recorded:
        tape.taken = b""
        line = _REQUEST_LINE.fullmatch(await tape.line())
        if line is None:
            raise Fault("no strict request line")
        headers: list[tuple[bytes, bytes]] = []
        while text := await tape.line():
            header = _HEADER.fullmatch(text)
            if header is None:
                raise Fault("no strict header line")
            headers.append((header[1], header[2]))
        request = Recorded(line[1].decode(), line[2].decode("latin-1"), tuple(headers), b"", b"")
        self._check(request)
        body = await _body(request, tape)
        return Recorded(request.method, request.target, request.headers, body, tape.taken)

    def _check(self, request: Recorded) -> None:
        if request.values("host") != [self.host.encode()]:
            raise Fault("not the one Host that was meant")
        for name, _ in request.headers:
            text = name.decode().lower()
            if text in HOP_BY_HOP or text.startswith("onceproxy-"):
                raise Fault(f"{text} is not for the upstream")
        upgrades = request.values("upgrade")
        if request.values("connection") != ([b"Upgrade"] if upgrades else []):
            raise Fault("Connection says what it should not")


async def _body(request: Recorded, tape: _Tape) -> bytes:
    lengths, codings = request.values("content-length"), request.values("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Fault("its length is told twice")
    if codings:
        if codings != [b"chunked"]:
            raise Fault("its transfer coding is not chunked")
        return await _chunked(tape)
    if not lengths:
        return b""
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise Fault("its length is no plain number")
    return await tape.exactly(int(lengths[0]))


async def _chunked(tape: _Tape) -> bytes:
    body = b""
    while (line := await tape.line() + b"\r\n") != b"0\r\n":
        if _CHUNK.fullmatch(line) is None:
            raise Fault("no plain chunk size")
        body += await tape.exactly(int(line, 16))
        if await tape.line() != b"":
            raise Fault("a chunk does not end where it says")
    if await tape.line() != b"":
        raise Fault("it has trailers")
    return body


class _Tape:
    """Reads, and keeps what was read in ``taken``."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.taken = b""

    async def line(self) -> bytes:
        line = await self._reader.readuntil(b"\r\n")
        self.taken += line
        return line[:-2]

    async def exactly(self, size: int) -> bytes:
        data = await self._reader.readexactly(size)
        self.taken += data
        return data


@asynccontextmanager
async def recording(name: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Recorder]:
    """A recorder that listens on loopback as ``name``."""
    recorder = Recorder()
    listening = Listening(recorder.talk)
    recorder.host = f"{name}:{await listening.on_port(tls=tls)}"
    try:
        yield recorder
    finally:
        await listening.end()
