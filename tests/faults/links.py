"""A wire that is slow: bytes arrive late, and in small pieces."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from urllib.parse import parse_qs, urlsplit


class SlowLink:
    """Listens on a port of loopback and passes bytes on to ``host:port``, or to a unix socket's path.

    Each piece is at most ``piece`` bytes and is ``delay`` seconds under way; that is the bandwidth, too.
    """

    def __init__(self, target: tuple[str, int] | str, *, piece: int, delay: float) -> None:
        self._target = target
        self._piece = piece
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
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
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await self._connect()
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass  # one side left, or the test is over
        finally:
            for one in (writer, far_writer):
                one.close()
                with suppress(OSError):
                    await one.wait_closed()
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(self._piece):
            await asyncio.sleep(self._delay)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
