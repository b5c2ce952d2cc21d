"""A connection of a pool while a statement, or a transaction, has it."""

from __future__ import annotations

import asyncio
from types import TracebackType

import asyncpg
from asyncpg.exceptions import ReadOnlySQLTransactionError

from onceproxy.store.errors import NotReplicated
from onceproxy.store.lending import Lender, Lent
from onceproxy.store.statements import sql

# Postgres cancels whatever a backend is doing when the cancel request gets there, which may be the next
# user's statement: never hand such a connection on. (Nor one that asyncpg itself has lost its bearings with.)
ENDING = (asyncio.CancelledError, TimeoutError, asyncpg.InternalClientError)


class Loan:
    """A connection for as long as the context lasts, which says in the end whether it can be lent again.

    ``pooled``: all of it is one transaction. The library asks for a statement's types first, and what runs it
    has to be the session that was asked: a pooler keeps to one while a transaction lasts.
    """

    def __init__(
        self,
        lender: Lender,
        timeout: float,
        ended_by: tuple[type[BaseException], ...] = ENDING,
        *,
        pooled: bool = False,
    ) -> None:
        self._lender = lender
        self._timeout = timeout
        # Where a transaction is open, whatever goes wrong ends the connection, and the transaction with it.
        self._ended_by = (BaseException,) if pooled else ended_by
        self._pooled = pooled
        self._lent: Lent | None = None

    async def __aenter__(self) -> asyncpg.pool.PoolConnectionProxy:
        self._lent = lent = await self._lender.take(self._timeout)
        if self._pooled:
            try:
                async with asyncio.timeout(self._timeout):
                    await lent.connection.execute(sql("begin"))
            except BaseException:
                lent.connection.terminate()
                await self._lender.give_back(lent)
                raise
        return lent.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lent = self._lent
        assert lent is not None
        try:
            if self._pooled and error is None:
                async with asyncio.timeout(self._timeout):
                    await lent.connection.execute(sql("commit"))
        except BaseException as uncommitted:
            error = uncommitted
            raise
        finally:
            await end_loan(self._lender, lent, error, self._ended_by)


async def end_loan(
    lender: Lender, lent: Lent, error: BaseException | None, ended_by: tuple[type[BaseException], ...]
) -> None:
    """Give back what was lent, or end it where ``error`` is one of ``ended_by``.

    Raises:
        NotReplicated: there was no error, but a commit that did not wait for the standbys.
    """
    not_replicated = lent.heard[0] if error is None and lent.heard else None
    try:
        if isinstance(error, ReadOnlySQLTransactionError):
            # We are connected to what has become a standby: all of the pool is.
            await lender.expire()
        if isinstance(error, ended_by):
            lent.connection.terminate()
    finally:
        await lender.give_back(lent)
    if not_replicated is not None:
        raise NotReplicated(not_replicated)
