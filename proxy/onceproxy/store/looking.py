"""Looks at receipts that are asked for at the same time: one statement for many."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import asyncpg

from onceproxy.store.batching import TRY as BATCH_TRY
from onceproxy.store.batching import Batched, Lane, NotBatched
from onceproxy.store.connection import Connections, Run

ROWS = 32  # of a batch: each may bring a body of 256 KiB along


class Looking:
    """The statements of ``connections``, of which ``read`` is run for many at once.

    Each is told what was there after it asked, as if it had asked alone. Of a batch that fails each is asked
    for alone.
    """

    def __init__(self, connections: Connections, batched: Batched | None = None) -> None:
        self._connections = connections
        self._lane: Lane[bytes, asyncpg.Record | None] = Lane("looks", self._read, batched=batched, rows=ROWS)

    async def run(
        self, name: str, *values: object, timeout: float, reserved: bool = False
    ) -> asyncpg.Record | None:
        """Run the statement ``name`` and return its first row; see ``Connections.run``."""
        if name == "read" and isinstance(digest := values[0], bytes):
            try:
                return await self._lane.ask(digest, digest)
            except NotBatched:
                pass
        return await self._connections.run(name, *values, timeout=timeout, reserved=reserved)

    def transaction(self, timeout: float) -> AbstractAsyncContextManager[Run]:
        """Give what runs statements in one transaction; see ``Connections.transaction``."""
        return self._connections.transaction(timeout)

    async def close(self, timeout: float) -> None:
        """Let batches under way end for ``timeout`` seconds."""
        await self._lane.close(timeout)

    async def _read(self, digests: Sequence[bytes]) -> Sequence[asyncpg.Record | None]:
        if len(digests) == 1:
            return [await self._connections.run("read", digests[0], timeout=BATCH_TRY)]
        rows = await self._connections.rows("read_many", digests, timeout=BATCH_TRY)
        found = {row["request_id"]: row for row in rows}
        return [found.get(digest) for digest in digests]
