"""A wire between a store and its database that can be cut at a chosen point."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, quote, urlsplit


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
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

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
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]
            netloc = f"{self._parts.username}@127.0.0.1:{self._port}"
            self.url = self._parts._replace(netloc=netloc).geturl()
        else:
            self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def sever(self) -> None:
        """Break all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream_reader, upstream_writer = await self._open()
        lost = asyncio.Event()
        flows = [
            asyncio.create_task(self._requests(reader, upstream_writer, lost)),
            asyncio.create_task(self._answers(upstream_reader, writer, lost)),
        ]
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # severed: asyncio.start_unix_server complains of handlers that end so
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
            for one in (writer, upstream_writer):
                one.close()
                with suppress(OSError):
                    await one.wait_closed()
            self._tasks.discard(task)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._tcp:
            return await asyncio.open_connection(self._parts.hostname, self._parts.port)
        return await asyncio.open_unix_connection(self._target)

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
