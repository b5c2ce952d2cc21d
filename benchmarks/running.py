"""Programs that are measured: processes of their own, started and ended here, with their logs in files."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

START = 30.0  # seconds to listen in
STOP = 10.0  # seconds to end in


class DidNotStart(RuntimeError):
    """A program ended, or did not listen."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[str | Path],
    port: int,
    directory: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[int]:
    """Run a program that listens on ``port``, as long as the context lasts; gives its process id.

    What it writes goes to ``NAME.log`` in ``directory``.

    Raises:
        DidNotStart: it does not listen.
    """
    log = directory / f"{name}.log"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdout=out,
            stderr=out,
            cwd=directory,
            env={**os.environ, **(environment or {})},
        )
    try:
        until = time.monotonic() + START
        while not await _listens(port):
            if process.returncode is not None or time.monotonic() > until:
                raise DidNotStart(f"{name}: {log.read_text(errors='replace')[-2000:]}")
            await asyncio.sleep(0.05)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
