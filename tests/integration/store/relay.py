"""A wire between a store and its database that can be cut at a chosen point."""

from __future__ import annotations

import asyncio
from enum import Enum
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, quote, urlsplit

from listening import Listening, calling


class Cut(Enum):
    """Where the next request that is made is lost."""

    REQUEST = "before it reaches the database"
    ANSWER = "when its answer comes back: whatever it asked for is done"


class Relay:
    """Passes bytes on to the server of ``url``: listens on TCP if that does, or else in ``directory``."""

    def __init__(self, url: str, directory: Path) -> None:
        parts = urlsplit(url)
        self._parts = parts
        self._tcp = parts.hostname is not None
        self._target = "" if self._tcp else f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._path = directory / ".s.PGSQL.5432"
        self._port = 0
        self.url = parts._replace(query=f"host={quote(str(directory), safe='')}").geturl()
        self.piece = 65536  # bytes passed on at a time, and
        self.delay = 0.0  # seconds before each
        self.cuts: list[Cut] = []
        self.done: list[Cut] = []
        self._listening = Listening(self._serve)

    async def __aenter__(self) -> Relay:
        await self.restore()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sever()

    async def restore(self) -> None:
        """Let connections through."""
        if self._tcp:
            self._port = await self._listening.on_port(self._port)
            netloc = f"{self._parts.username}@127.0.0.1:{self._port}"
            self.url = self._parts._replace(netloc=netloc).geturl()
        else:
            await self._listening.on_path(self._path)

    async def sever(self) -> None:
        """Break all connections and refuse new ones."""
        self._path.unlink(missing_ok=True)
        await self._listening.end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (self._parts.hostname, self._parts.port) if self._tcp else self._target
        async with calling(target) as (upstream_reader, upstream_writer):
            lost = asyncio.Event()
            flows = [
                asyncio.create_task(self._requests(reader, upstream_writer, lost)),
                asyncio.create_task(self._answers(upstream_reader, writer, lost)),
            ]
            try:
                await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for flow in flows:
                    flow.cancel()
                await asyncio.gather(*flows, return_exceptions=True)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self.cuts and not lost.is_set():
                cut = self.cuts.pop(0)
                self.done.append(cut)
                if cut is Cut.REQUEST:
                    return
                lost.set()
            await self._pass_on(data, writer)

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if lost.is_set() and b"Z" in data:  # ReadyForQuery: the transaction has ended
                return
            if not lost.is_set():
                await self._pass_on(data, writer)

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(data), self.piece):
            await asyncio.sleep(self.delay)
            writer.write(data[start : start + self.piece])
            await writer.drain()
