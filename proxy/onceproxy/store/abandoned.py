"""Claims that nobody will use: given back, because nothing can have been sent under them.

A claim may be committed although its asker never gets to know: the task was cancelled, or the answer was lost
and the database stayed away. This instance lives on, so the claim would neither end nor be lost. Each such
token is kept here until the receipt is seen to be free of it.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from onceproxy.core.receipts import RequestId
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.connection import Connections
from onceproxy.store.ending import end_within
from onceproxy.store.retrying import persist
from onceproxy.store.rows import event_of

TRY = 5.0  # seconds for one statement
PATIENCE = 24 * 3600.0  # seconds to keep trying through an outage; the end of this instance ends it as well
# A statement whose connection broke may still be on its way to its commit in the server, unseen. Looked for
# again this many seconds after each look that found nothing.
LOOKS = (0.0, 0.2, 1.0, 5.0, 20.0)


class Abandoned:
    """Gives claims back, in tasks of its own."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()

    def give_back(self, request_id: RequestId, token: UUID) -> None:
        """Release the claim that may exist under ``token``, now or as soon as the database allows."""
        task = asyncio.create_task(self._give_back(request_id, token))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give_back(self, request_id: RequestId, token: UUID) -> None:
        async def once() -> bool:
            row = await self._connections.run(
                "abandon",
                request_id.digest,
                token,
                event_of(token, "abandoned"),
                timeout=TRY,
                reserved=True,
            )
            assert row is not None
            return row["state"] is not None

        for pause in LOOKS:
            await asyncio.sleep(pause)
            try:
                if await persist(once, PATIENCE):
                    return
            except StoreUnavailable:
                return

    async def close(self, timeout: float) -> None:
        """Let what is under way end for ``timeout`` seconds, then drop it: the claims will be in doubt."""
        await end_within(self._tasks, timeout)
