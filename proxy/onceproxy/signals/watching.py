"""Looking, from time to time, at what nobody counts: what is in doubt, and what waits in the spool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from onceproxy.guard.ports import SpoolUnavailable, StoreUnavailable
from onceproxy.signals.ports import Recorder

log = structlog.get_logger("onceproxy")

EVERY = 5.0  # seconds: far less than Prometheus waits between two looks of its own


class Gauges(Protocol):
    """Who is told of what was found."""

    def doubts(self, count: int, oldest: float) -> None:
        """So many actions are in doubt; the oldest has been for so many seconds."""
        ...

    def spool(self, records: int, size: int) -> None:
        """So many records wait in the spool, of so many bytes."""
        ...


class LevelWatch:
    """Looks every ``every`` seconds, in a task of its own between ``start`` and ``stop``.

    ``doubts`` and ``spool`` return what the gauges are told.
    """

    def __init__(
        self,
        doubts: Callable[[], Awaitable[tuple[int, float]]],
        spool: Callable[[], Awaitable[tuple[int, int]]],
        gauges: Gauges,
        recorder: Recorder,
        *,
        every: float,
    ) -> None:
        self._doubts = doubts
        self._spool = spool
        self._gauges = gauges
        self._recorder = recorder
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look once, so that nobody is told of a zero that is none, and go on in the background."""
        await self.run_once()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self) -> None:
        """Look at both. Where one can't be seen, what was seen last stands."""
        try:
            self._gauges.doubts(*await self._doubts())
        except StoreUnavailable:
            self._recorder.store_error("count")
        try:
            self._gauges.spool(*await self._spool())
        except SpoolUnavailable as error:
            log.warning("spool-not-counted", error=str(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.run_once()
