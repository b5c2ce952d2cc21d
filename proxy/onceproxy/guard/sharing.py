"""Copies that wait for one action ask the store together: news for a thousand is not a thousand statements.

A read is shared only by those who asked before it began: what they learn is as fresh as if each had asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onceproxy.core.receipts import Receipt, RequestId
from onceproxy.guard.ports import Store

Read = asyncio.Task[Receipt | None]


class SharedReads:
    """Reads receipts: at most one statement under way for an action, and one more in the queue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: dict[RequestId, Read] = {}
        self._queued: dict[RequestId, Read] = {}

    async def read(self, request_id: RequestId) -> Receipt | None:
        """Return the receipt as it is at some time after this call.

        Raises:
            StoreUnavailable: the store is away.
        """
        task = self._queued.get(request_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._read(request_id))
            task.add_done_callback(_look_at)
            self._queued[request_id] = task
        return await asyncio.shield(task)

    async def _read(self, request_id: RequestId) -> Receipt | None:
        if (before := self._running.get(request_id)) is not None:
            await asyncio.wait({before})
        task = self._running[request_id] = self._queued.pop(request_id)
        try:
            return await self._store.read(request_id)
        finally:
            if self._running[request_id] is task:
                del self._running[request_id]


class Turns:
    """Lets one copy of an action at a time try to claim it; the others then look at what came of it."""

    def __init__(self) -> None:
        self._taken: dict[RequestId, asyncio.Event] = {}

    @asynccontextmanager
    async def take(self, request_id: RequestId) -> AsyncIterator[bool]:
        """Yield whether it is this copy's turn; if not, another one's has just ended."""
        over = self._taken.get(request_id)
        if over is not None:
            await over.wait()
            yield False
            return
        over = self._taken[request_id] = asyncio.Event()
        try:
            yield True
        finally:
            del self._taken[request_id]
            over.set()


def _look_at(task: Read) -> None:
    """Take note of an error that nobody may be left to hear of."""
    if not task.cancelled():
        task.exception()
