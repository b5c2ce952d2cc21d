"""One worker's process, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from pathlib import Path

from onceproxy.workers.channel import Channel, Word


class WorkerFailed(Exception):
    """A worker ended before it served, at the start of all. ``code`` is what to exit with."""

    def __init__(self, returncode: int) -> None:
        self.code = max(returncode, 1)
        self.said_why = returncode > 0
        how = f"was killed by signal {-returncode}" if returncode < 0 else "ended"
        super().__init__(f"a worker {how} before it was ready")


class WorkerProcess:
    """A process that was started. ``ready`` is set once it serves."""

    def __init__(self, process: Process, channel: Channel) -> None:
        self._process = process
        self._channel = channel
        self._may_send = False
        self._heard_at = float("-inf")
        self.ready = asyncio.Event()
        self.born = time.monotonic()
        self.end = asyncio.create_task(self._follow())
        """Its return code, once it has ended."""

    @classmethod
    async def spawn(cls, metrics: Path) -> WorkerProcess:
        """Start one that counts in files under ``metrics``. Raises ``OSError``."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing in the working directory is a module
                *("-m", "onceproxy.workers", str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=DEVNULL,
                stdout=DEVNULL,
                env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics)},
                start_new_session=True,  # a terminal's Ctrl-C is the supervisor's to pass on, once
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, await Channel.over(ours))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def may_send(self, patience: float) -> bool:
        """Say whether it may send, by its own word of the last ``patience`` seconds."""
        return self._may_send and time.monotonic() - self._heard_at < patience

    def tell(self, order: object) -> None:
        """Tell it to do something."""
        self._channel.tell(order)

    def kill(self) -> None:
        """End it now."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _follow(self) -> int:
        hearing = asyncio.create_task(self._hear())
        try:
            code = await self._process.wait()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            await self._channel.close()
        self._may_send = False
        return code

    async def _hear(self) -> None:
        while isinstance(word := await self._channel.hear(), Word):
            self._may_send, self._heard_at = word.may_send, time.monotonic()
            self.ready.set()
