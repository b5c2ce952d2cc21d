"""A relay between a client and a proxy that loses an answer: the connection is cut when it begins to come."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from listening import Listening, calling


class Cutter:
    """Relays to ``target``, and cuts the first answer to what holds ``mark`` when ``ready`` returns.

    An async context manager; ``url`` is there inside. ``asked`` is what clients sent, one connection each.
    """

    def __init__(self, target: str, mark: bytes, ready: Callable[[], Awaitable[None]] | None = None) -> None:
        self.asked: list[bytearray] = []
        self.cuts = 0
        self.url = ""
        self._target = urlsplit(target)
        self._mark = mark
        self._ready = ready
        self._listening = Listening(self._serve)

    def found(self, pattern: bytes) -> list[bytes]:
        """Return what a pattern's group found in what was asked."""
        return [found for asked in self.asked for found in re.findall(pattern, bytes(asked))]

    async def __aenter__(self) -> Cutter:
        self.url = f"http://127.0.0.1:{await self._listening.on_port()}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listening.end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = bytearray()
        self.asked.append(asked)
        async with calling((self._target.hostname, self._target.port)) as (far_reader, far_writer):
            there = asyncio.ensure_future(self._forward(reader, far_writer, asked))
            try:
                await self._back(far_reader, writer, asked)
            finally:
                there.cancel()
                await asyncio.gather(there, return_exceptions=True)
                writer.transport.abort()
                far_writer.transport.abort()

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray
    ) -> None:
        while data := await reader.read(65536):
            if self._mark in asked and not self.cuts:
                if self._ready is not None:
                    await self._ready()
                self.cuts += 1
                break
            writer.write(data)
            await writer.drain()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray
    ) -> None:
        while data := await reader.read(65536):
            asked += data
            writer.write(data)
        writer.write_eof()
