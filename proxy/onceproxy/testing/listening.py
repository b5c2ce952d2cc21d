"""Servers of tests that leave nothing open behind them, however a test ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

# Turns of the event loop from a connection that was accepted to its first callback, and to the end of one
# that is closed there; a server that is closed leaves those in between alone.
STEPS = 6

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listening:
    """Accepts connections and has ``talk`` serve each. All of them end with it, or when ``talk`` returns.

    A connection is known from the moment it is made, before ``talk`` has had a chance to run: a leak of one
    would be found by the garbage collector, in the middle of another test.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._over = False

    async def on_port(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen on a port of loopback, a free one if 0, and return it."""
        self._over = False
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, ssl=tls, limit=1 << 20)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def on_path(self, path: Path) -> None:
        """Listen on a socket in the file system."""
        self._over = False
        self._server = await asyncio.start_unix_server(self._connected, path)

    async def end(self) -> None:
        """Accept no more and end what there is. It may listen again afterwards."""
        self._over = True
        if self._server is not None:
            self._server.close()
        for _ in range(STEPS):
            await asyncio.sleep(0)
        tasks = list(self._open)
        for task, writer in self._open.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._over:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task).transport.abort()  # of a task that was cancelled before it began, too
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side left
        finally:
            await closed(writer)


@asynccontextmanager
async def calling(
    target: tuple[str | None, int | None] | str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a host and port, or to a socket's path."""
    if isinstance(target, str):
        reader, writer = await asyncio.open_unix_connection(target)
    else:
        reader, writer = await asyncio.open_connection(*target)
    try:
        yield reader, writer
    finally:
        await closed(writer)


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait for its end, which may be an error already known."""
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
