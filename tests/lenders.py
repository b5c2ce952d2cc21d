"""Connections of a user's own, of each kind that ``guard.transaction`` takes, with one face for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import asyncpg
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine


class Lender(Protocol):
    """A connection, in tests. ``connection`` is what the guard is given."""

    connection: Any

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction, which is committed at the end, or rolled back by an exception."""
        ...

    async def do(self, statement: str) -> None:
        """Run a statement."""
        ...


class OfAsyncpg:
    def __init__(self, connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> None:
        self.connection = connection

    def begin(self) -> AbstractAsyncContextManager[Any]:
        transaction: AbstractAsyncContextManager[Any] = self.connection.transaction()
        return transaction

    async def do(self, statement: str) -> None:
        await self.connection.execute(statement)


class OfPsycopg:
    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection

    def begin(self) -> AbstractAsyncContextManager[Any]:
        return self.connection.transaction()

    async def do(self, statement: str) -> None:
        await self.connection.execute(statement.encode())


class OfBlockingPsycopg:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        with self.connection.transaction():
            yield None

    async def do(self, statement: str) -> None:
        self.connection.execute(statement.encode())


class OfAlchemy:
    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def begin(self) -> AbstractAsyncContextManager[Any]:
        beginning: AbstractAsyncContextManager[Any] = self.connection.begin()
        return beginning

    async def do(self, statement: str) -> None:
        await self.connection.execute(text(statement))


@asynccontextmanager
async def by_asyncpg(url: str) -> AsyncIterator[Lender]:
    connection = await asyncpg.connect(url)
    try:
        yield OfAsyncpg(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def by_asyncpg_pool(url: str) -> AsyncIterator[Lender]:
    async with asyncpg.create_pool(url, min_size=0) as pool, pool.acquire() as connection:
        yield OfAsyncpg(connection)


@asynccontextmanager
async def by_psycopg(url: str) -> AsyncIterator[Lender]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield OfPsycopg(connection)


@asynccontextmanager
async def by_psycopg_autocommit(url: str) -> AsyncIterator[Lender]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield OfPsycopg(connection)


@asynccontextmanager
async def by_blocking_psycopg(url: str) -> AsyncIterator[Lender]:
    with psycopg.connect(url) as connection:
        yield OfBlockingPsycopg(connection)


@asynccontextmanager
async def _by_alchemy(url: str, driver: str, *, session: bool) -> AsyncIterator[Lender]:
    engine = create_async_engine(url.replace("postgresql:", f"postgresql+{driver}:"))
    try:
        opening: Any = AsyncSession(engine) if session else engine.connect()
        async with opening as connection:
            yield OfAlchemy(connection)
    finally:
        await engine.dispose()


Lend = Callable[[str], AbstractAsyncContextManager[Lender]]

ALL: dict[str, Lend] = {
    "asyncpg": by_asyncpg,
    "asyncpg pool": by_asyncpg_pool,
    "psycopg": by_psycopg,
    "psycopg autocommit": by_psycopg_autocommit,
    "psycopg blocking": by_blocking_psycopg,
    "alchemy asyncpg": lambda url: _by_alchemy(url, "asyncpg", session=False),
    "alchemy psycopg": lambda url: _by_alchemy(url, "psycopg", session=False),
    "session asyncpg": lambda url: _by_alchemy(url, "asyncpg", session=True),
    "session psycopg": lambda url: _by_alchemy(url, "psycopg", session=True),
}
