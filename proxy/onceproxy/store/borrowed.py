"""Statements in a transaction of somebody else's: on a connection that was lent to us, and that stays theirs.

Each kind of connection is told by its class. psycopg and SQLAlchemy are imported by whoever uses them, never
by us before.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

import asyncpg

from onceproxy.store.connection import Run
from onceproxy.store.statements import sql

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

UNDEFINED_TABLE = "42P01"  # SQLSTATE; PostgreSQL's manual, appendix A


class NotInTransaction(Exception):
    """A connection is in no transaction, or not of a kind that we know; the text says what to do."""


class Borrowed(Protocol):
    """A lent connection: ``Statements``, all in the one transaction, and savepoints in it."""

    async def run(
        self, name: str, *values: object, timeout: float, reserved: bool = False
    ) -> asyncpg.Record | None:
        """Run the statement ``name`` and return its first row, however long it takes."""
        ...

    def transaction(self, timeout: float) -> AbstractAsyncContextManager[Run]:
        """Give what runs statements: the transaction is there already."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """Give a part of the transaction that is rolled back alone if it raises."""
        ...


async def borrow(connection: Any) -> Borrowed:
    """Return what runs our statements in the transaction that ``connection`` is in.

    It is a connection of asyncpg or psycopg 3 (async or not), or SQLAlchemy's ``AsyncConnection`` or
    ``AsyncSession`` over one of these. For one of psycopg that is not async, nothing here suspends.

    Raises:
        NotInTransaction: it is in none, or not of these kinds.
    """
    if isinstance(connection, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        return _Asyncpg(connection)
    if (drivers := sys.modules.get("psycopg")) is not None:
        if isinstance(connection, drivers.AsyncConnection):
            return await _Psycopg.lent(connection)
        if isinstance(connection, drivers.Connection):
            return _BlockingPsycopg(connection)
    if (engines := sys.modules.get("sqlalchemy.ext.asyncio")) is not None and isinstance(
        connection, engines.AsyncConnection | engines.AsyncSession
    ):
        return await _Alchemy.lent(connection)
    kind = type(connection)
    raise NotInTransaction(
        f"a {kind.__module__}.{kind.__qualname__} is no connection that is known here: pass one of "
        "asyncpg or psycopg 3, or an AsyncConnection or AsyncSession of SQLAlchemy"
    )


class _Driver:
    """What the drivers' own connections have in common."""

    async def run(
        self, name: str, *values: object, timeout: float, reserved: bool = False
    ) -> asyncpg.Record | None:
        """Run a statement."""
        return await self._first(name, values)

    @asynccontextmanager
    async def transaction(self, timeout: float) -> AsyncIterator[Run]:
        """Give what runs statements."""
        yield lambda name, *values: self._first(name, values)

    async def _first(self, name: str, values: tuple[object, ...]) -> asyncpg.Record | None:
        raise NotImplementedError


class _Asyncpg(_Driver):
    def __init__(self, connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> None:
        if not connection.is_in_transaction():
            raise _none("async with connection.transaction():")
        self._connection = connection

    async def _first(self, name: str, values: tuple[object, ...]) -> asyncpg.Record | None:
        row: asyncpg.Record | None = await self._connection.fetchrow(sql(name), *values)
        return row

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """Give a part that is rolled back alone."""
        savepoint: AbstractAsyncContextManager[object] = self._connection.transaction()
        return savepoint


class _Psycopg(_Driver):
    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    @classmethod
    async def lent(cls, connection: psycopg.AsyncConnection[Any]) -> _Psycopg:
        """Return it, in a transaction: where the connection begins them by itself, in one that begins now."""
        lent = cls(connection)
        if not connection.autocommit:
            await lent._first("ping", ())
        _check_psycopg(connection)
        return lent

    async def _first(self, name: str, values: tuple[object, ...]) -> asyncpg.Record | None:
        rows = sys.modules["psycopg.rows"]
        # Raw: our statements have $1, as Postgres itself does.
        async with sys.modules["psycopg"].AsyncRawCursor(
            self._connection, row_factory=rows.dict_row
        ) as cursor:
            await cursor.execute(sql(name), _arrays(values))
            return cast("asyncpg.Record | None", await cursor.fetchone())

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """Give a part that is rolled back alone."""
        return self._connection.transaction()


class _BlockingPsycopg(_Driver):
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        if not connection.autocommit:
            connection.execute(sql("ping"))
        _check_psycopg(connection)

    async def _first(self, name: str, values: tuple[object, ...]) -> asyncpg.Record | None:
        rows = sys.modules["psycopg.rows"]
        with sys.modules["psycopg"].RawCursor(self._connection, row_factory=rows.dict_row) as cursor:
            cursor.execute(sql(name), _arrays(values))
            return cast("asyncpg.Record | None", cursor.fetchone())

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[object]:
        """Give a part that is rolled back alone."""
        with self._connection.transaction():
            yield None


class _Alchemy:
    """Statements go to the driver's own connection; savepoints are SQLAlchemy's, for its objects' sake."""

    def __init__(
        self, connection: AsyncConnection | AsyncSession, session: AsyncSession | None, driver: Borrowed
    ) -> None:
        self._connection = connection
        self._session = session
        self._driver = driver

    @classmethod
    async def lent(cls, connection: AsyncConnection | AsyncSession) -> _Alchemy:
        """Return it, with the transaction that SQLAlchemy begins at the first statement begun."""
        engines = sys.modules["sqlalchemy.ext.asyncio"]
        session = cast("AsyncSession", connection) if isinstance(connection, engines.AsyncSession) else None
        bare = cast("AsyncConnection", connection) if session is None else await session.connection()
        await bare.exec_driver_sql("SELECT 1")
        raw = await bare.get_raw_connection()
        return cls(connection, session, await borrow(raw.driver_connection))

    async def run(
        self, name: str, *values: object, timeout: float, reserved: bool = False
    ) -> asyncpg.Record | None:
        """Run a statement."""
        return await self._driver.run(name, *values, timeout=timeout, reserved=reserved)

    def transaction(self, timeout: float) -> AbstractAsyncContextManager[Run]:
        """Give what runs statements."""
        return self._driver.transaction(timeout)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[object]:
        """Give a part that is rolled back alone."""
        async with self._connection.begin_nested():
            if self._session is not None:
                # A session makes its savepoint when it next uses the connection, and we go past it.
                await self._session.connection()
            yield None


def _arrays(values: tuple[object, ...]) -> list[object]:
    """Return values with lists for arrays: a tuple is a row to psycopg."""
    return [list(value) if isinstance(value, tuple) else value for value in values]


def _check_psycopg(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    if connection.info.transaction_status != sys.modules["psycopg"].pq.TransactionStatus.INTRANS:
        raise _none("with connection.transaction():")


def _none(example: str) -> NotInTransaction:
    return NotInTransaction(f"the connection is in no transaction: begin one, as by `{example}`")


def is_undefined_table(error: Exception) -> bool:
    """Say whether a driver's error means that there are no tables of ours."""
    return getattr(error, "sqlstate", None) == UNDEFINED_TABLE
