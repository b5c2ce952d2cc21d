"""What the store's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from onceproxy.core.receipts import RequestId
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.rows import action_values
from onceproxy.store.statements import sql
from stores import an_action

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


@asynccontextmanager
async def somebody_claims(
    database: asyncpg.Connection, store: PostgresStore, *names: str
) -> AsyncIterator[None]:
    """Claims in a transaction that stays open as long as the context lasts, and comes to nothing."""
    transaction = database.transaction()
    await transaction.start()
    for name in names:
        action = an_action(name)
        values = (uuid4(), store.instance, *action_values(action))
        await database.fetchrow(sql("claim"), action.request_id.digest, *values)
    yield
    await transaction.rollback()
