"""The life of what runs until it is told to stop: a proxy, or a supervisor with its workers."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import structlog

from onceproxy.admin.tally import Tally
from onceproxy.config.model import Settings

log = structlog.get_logger("onceproxy")


class Stoppable(Protocol):
    """What can be stopped, with patience or without."""

    async def stop(self, grace: float) -> None:
        """Let what is in flight end within ``grace`` seconds, and let go of all."""

    def hurry(self) -> None:
        """Cut short the grace of a stop under way."""


class Running(Stoppable, Protocol):
    """What serves. ``url`` is where clients find it, ``admin_url`` where health is told."""

    url: str
    admin_url: str
    database: str

    def tally(self) -> Tally:
        """Return what it has done so far."""

    def follow(self, settings: Settings) -> None:
        """Treat the requests that come from now on as ``settings`` say. Raises ``ConfigError``."""


Started = TypeVar("Started")


async def started(
    starting: Coroutine[Any, Any, Started], stop: asyncio.Event, *, cut_short: bool
) -> Started | None:
    """Return what was started, or None if told to stop while it waits for a database.

    ``cut_short`` False: it uses the embedded one, which is there in a moment, and is stopped when it is; cut
    short, it would be left running.
    """
    task = asyncio.ensure_future(starting)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done() and cut_short:
        task.cancel()
    await asyncio.wait({task})
    return None if task.cancelled() else task.result()


async def stopped(running: Stoppable, grace: float, hurry: asyncio.Event) -> None:
    """Stop within ``grace`` seconds, or at once when ``hurry`` is set."""
    stopping = asyncio.ensure_future(running.stop(grace))
    hurried = asyncio.ensure_future(hurry.wait())
    await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
    if hurried.done():
        log.warning("stopping-now", hint="what is in flight is put in doubt")
        running.hurry()
    hurried.cancel()
    await stopping


def calm_collector() -> None:
    """Have the garbage collector look for cycles less often, and at nothing that was there at the start.

    Nearly all of what a request makes goes by itself when it ends; looking through all objects, again and
    again, took a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
