"""A relay between a client and a proxy that loses an answer: the connection is cut when it begins to come."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit


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
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def found(self, pattern: bytes) -> list[bytes]:
        """Return what a pattern's group found in what was asked."""
        return [found for asked in self.asked for found in re.findall(pattern, bytes(asked))]

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        asked = bytearray()
        self.asked.append(asked)
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        there = asyncio.ensure_future(self._forward(reader, far_writer, asked))
        try:
            while data := await far_reader.read(65536):
                if self._mark in asked and not self.cuts:
                    if self._ready is not None:
                        await self._ready()
                    self.cuts += 1
                    break
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            there.cancel()
            writer.transport.abort()
            far_writer.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray
    ) -> None:
        while data := await reader.read(65536):
            asked += data
            writer.write(data)
        writer.write_eof()
