"""What the store's tests share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from onceproxy.core.receipts import RequestId

History = Callable[[RequestId], Awaitable[list[str]]]


@pytest.fixture
def history(database: asyncpg.Connection) -> History:
    """Gives the kinds of a receipt's events, oldest first."""

    async def kinds(request_id: RequestId) -> list[str]:
        rows = await database.fetch(
            "SELECT kind FROM events WHERE request_id = $1 ORDER BY at, attempt, event_id", request_id.digest
        )
        return [row["kind"] for row in rows]

    return kinds
