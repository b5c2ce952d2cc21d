"""A wire that is slow: bytes arrive late, and in small pieces."""

from __future__ import annotations

import asyncio
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from listening import Listening, calling


class SlowLink:
    """Listens on a port of loopback and passes bytes on to ``host:port``, or to a unix socket's path.

    Each piece is at most ``piece`` bytes and is ``delay`` seconds under way; that is the bandwidth, too.
    """

    def __init__(self, target: tuple[str, int] | str, *, piece: int, delay: float) -> None:
        self._target = target
        self._piece = piece
        self._delay = delay
        self._listening = Listening(self._serve)
        self.port = 0

    @classmethod
    def to(cls, url: str, *, piece: int, delay: float) -> SlowLink:
        """A wire to the server of a URL, a unix socket named by ``host`` among its options."""
        parts = urlsplit(url)
        if directory := parse_qs(parts.query).get("host"):
            return cls(f"{directory[0]}/.s.PGSQL.5432", piece=piece, delay=delay)
        assert parts.hostname is not None
        assert parts.port is not None
        return cls((parts.hostname, parts.port), piece=piece, delay=delay)

    def slow_down(self, delay: float) -> None:
        """Let each piece be under way for so long from now on."""
        self._delay = delay

    def instead(self, url: str) -> str:
        """The URL of the same thing at the end of this wire."""
        parts = urlsplit(url)
        user = f"{parts.username}@" if parts.username else ""
        return parts._replace(netloc=f"{user}127.0.0.1:{self.port}", query="").geturl()

    async def __aenter__(self) -> SlowLink:
        self.port = await self._listening.on_port()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with calling(self._target) as (far_reader, far_writer):
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(self._piece):
            await asyncio.sleep(self._delay)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
