"""Work that is done from time to time, by every instance, in its own rhythm."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from onceproxy.store.errors import DATABASE_ERRORS, is_outage

log = logging.getLogger(__name__)


class Periodic:
    """Does ``work`` about every ``every`` seconds; an outage is told, and does not end it."""

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], every: float) -> None:
        self._name = name
        self._work = work
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first time comes after a pause as well."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop, also in the middle of the work."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            # Half as long to one and a half times as long: instances that started together drift apart.
            await asyncio.sleep(self._every * random.uniform(0.5, 1.5))  # noqa: S311 (no secret depends on it)
            try:
                await self._work()
            except DATABASE_ERRORS as error:
                if is_outage(error):
                    log.warning("%s: %s", self._name, error or type(error).__name__)
                else:
                    log.exception("%s failed; it will be tried again", self._name)
