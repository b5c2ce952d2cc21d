"""Claims that nobody will use: given back, because nothing can have been sent under them.

A claim may be committed although its asker never gets to know: the task was cancelled, or the answer was lost
and the database stayed away. This instance lives on, so the claim would neither end nor be lost. Each such
token is kept here until the receipt is seen to be free of it, for good: a claim whose connection is gone may
still wait in the server for what another transaction holds, and be committed when that ends.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from uuid import UUID, uuid4

from onceproxy.core.receipts import RequestId
from onceproxy.store.connection import Connections
from onceproxy.store.ending import end_within
from onceproxy.store.retrying import persist

TRY = 5.0  # seconds for one statement
# A statement whose connection broke may still be on its way to the server, unseen by anybody. Looked for
# again this many seconds after each look that found nothing.
LOOKS = (0.0, 0.2, 1.0, 5.0, 20.0)
EVERY = 20.0  # seconds between looks after these, as long as a transaction goes on that was under way by then


@dataclass(slots=True, eq=False)
class _Late:
    request_id: RequestId
    # Transactions that were under way at the first of these looks, and still are.
    older: frozenset[str] | None = None


class Abandoned:
    """Gives claims back, in tasks of its own."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()
        self._late: dict[UUID, _Late] = {}
        self._looking: asyncio.Task[None] | None = None

    def give_back(self, request_id: RequestId, token: UUID) -> None:
        """Release the claim that may exist under ``token``, now or as soon as the database allows."""
        task = asyncio.create_task(self._give_back(request_id, token))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, timeout: float) -> None:
        """Let what is under way end for ``timeout`` seconds, then drop it: the claims will be in doubt."""
        await end_within(self._tasks, timeout)
        if self._looking is not None:
            await end_within([self._looking], 0)

    async def _give_back(self, request_id: RequestId, token: UUID) -> None:
        for pause in LOOKS:
            await asyncio.sleep(pause)
            if await self._is_found(request_id, token):
                break  # a second statement under the same token may be on its way
        self._late[token] = _Late(request_id)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        while self._late:
            await asyncio.sleep(EVERY)
            await self._look()

    async def _look(self) -> None:
        """Look once for all that are late, and forget those that can't come any more."""
        under_way = await persist(self._under_way, math.inf, bounded=False)
        for token, late in list(self._late.items()):
            late.older = under_way if late.older is None else late.older & under_way
            # In this order: what had ended when the others were listed is seen by this look.
            await self._is_found(late.request_id, token)
            if not late.older:
                del self._late[token]

    async def _under_way(self) -> frozenset[str]:
        row = await self._connections.run("under_way", timeout=TRY, reserved=True)
        assert row is not None
        return frozenset(row["names"])

    async def _is_found(self, request_id: RequestId, token: UUID) -> bool:
        """Give the claim back if it is there, however long the database takes; return whether it was."""

        async def once() -> bool:
            row = await self._connections.run(
                "abandon",
                request_id.digest,
                token,
                uuid4(),
                timeout=TRY,
                reserved=True,
            )
            assert row is not None
            return row["state"] is not None

        return await persist(once, math.inf, bounded=False)
