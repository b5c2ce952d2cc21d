"""Connections to Postgres: the first one, made with patience, and the two pools of a running store.

Settlements have connections of their own, so that a flood of claims that wait for one another can't keep the
receipts of what has already happened from being written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg
from asyncpg.exceptions import ReadOnlySQLTransactionError

from onceproxy.store.errors import (
    DATABASE_ERRORS,
    DatabaseUnreachable,
    NotReplicated,
    is_outage,
    is_refusal,
)
from onceproxy.store.hosts import places, split_hosts
from onceproxy.store.lending import Lender, Lent
from onceproxy.store.retrying import pauses
from onceproxy.store.statements import sql

log = logging.getLogger(__name__)

CONNECT_TRY = 5.0  # seconds for one try to connect
SAY_SO = 0.5  # seconds of pause from which on people are told what is waited for
CLOSE_WAIT = 3.0  # seconds in which statements under way may end when a pool closes
SETTINGS = {"application_name": "onceproxy"}


def describe(url: str) -> str:
    """Name the database of a URL in words that are fit for a log: no user, no password, no options."""
    try:
        place = " or ".join(places(url)) or "a local socket"
        name = urlsplit(split_hosts(url)[0]).path.strip("/")
    except ValueError:
        return "the database"
    return f"database {name} at {place}" if name else f"the database at {place}"


async def connect(url: str, timeout: float = CONNECT_TRY) -> asyncpg.Connection:
    """Make one connection, in one try of at most ``timeout`` seconds. Raises what asyncpg raises."""
    return await Dial(url)(timeout=timeout, server_settings=SETTINGS)


class Dial:
    """Connects to the first server of a URL that will do, beginning with the one that did the last time.

    Has the shape of ``asyncpg.connect``, for pools; the URL is its own, whatever it is called with.
    """

    def __init__(self, url: str) -> None:
        self._urls = list(split_hosts(url))

    async def __call__(
        self, dsn: str | None = None, *, timeout: float = CONNECT_TRY, **settings: Any
    ) -> asyncpg.Connection:
        """Connect within ``timeout`` seconds. Raises what asyncpg raises, for the last server tried."""
        share = timeout / len(self._urls)
        for one in self._urls[:-1]:
            try:
                connection = await asyncpg.connect(one, timeout=share, **settings)
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    raise
            else:
                return self._found(one, connection)
        last = self._urls[-1]
        return self._found(last, await asyncpg.connect(last, timeout=share, **settings))

    def _found(self, one: str, connection: asyncpg.Connection) -> asyncpg.Connection:
        self._urls.remove(one)
        self._urls.insert(0, one)
        return connection


async def connect_patiently(url: str, connect_timeout: float) -> asyncpg.Connection:
    """Make one connection, trying again for ``connect_timeout`` seconds.

    Raises:
        DatabaseUnreachable: none could be made, or the database refuses us.
    """
    clock = asyncio.get_running_loop().time
    give_up = clock() + connect_timeout
    pause = pauses(longest=2.0)
    told = False
    while True:
        try:
            return await connect(url, max(0.1, min(CONNECT_TRY, give_up - clock())))
        except DATABASE_ERRORS as error:
            if isinstance(error, asyncpg.ClientConfigurationError):
                # Its text, and that of its causes, may quote parts of the URL.
                raise DatabaseUnreachable(
                    "the database URL is not valid: postgresql://user@host/name"
                ) from None
            if is_refusal(error):
                raise DatabaseUnreachable(f"{describe(url)} refuses us: {error}") from error
            if not is_outage(error):
                raise
            seconds = pause()
            reason = str(error) or type(error).__name__
            if clock() + seconds > give_up:
                raise DatabaseUnreachable(
                    f"{describe(url)} can't be reached (tried for {connect_timeout:g} s): {reason}"
                ) from error
            if seconds >= SAY_SO and not told:
                told = True
                log.warning("%s can't be reached yet, trying on: %s", describe(url), reason)
        except (ValueError, OverflowError):
            # Ports and the like that are no numbers, or too large: the messages quote what was given.
            raise DatabaseUnreachable("the database URL is not valid: postgresql://user@host/name") from None
        await asyncio.sleep(seconds)


class Run(Protocol):
    """Runs a statement by its name and returns its first row."""

    async def __call__(self, name: str, *values: object) -> asyncpg.Record | None:
        """Raises what asyncpg raises."""
        ...


class Statements(Protocol):
    """Runs statements by name: of a pool, each in a transaction of its own, or all in a caller's."""

    async def run(
        self, name: str, *values: object, timeout: float, reserved: bool = False
    ) -> asyncpg.Record | None:
        """Run the statement ``name`` and return its first row; see ``Connections.run``."""
        ...

    def transaction(self, timeout: float) -> AbstractAsyncContextManager[Run]:
        """Give what runs statements in one transaction; see ``Connections.transaction``."""
        ...


class Connections:
    """Two pools over one database. Statements run by name, each in a transaction of its own."""

    def __init__(self, common: Lender, reserved: Lender, *, pooled: bool = False) -> None:
        self._common = common
        self._reserved = reserved
        self._pooled = pooled

    @classmethod
    async def open(cls, url: str, size: int, *, pooled: bool = False) -> Connections:
        """Open at most ``size`` (2 or more) connections, a third of them reserved.

        ``pooled``: a pooler is there that gives each transaction whichever session is free. Raises what
        asyncpg raises.
        """
        reserve = max(1, size // 3)
        common = Lender(await _pool(url, max(1, size - reserve), pooled))
        try:
            return cls(common, Lender(await _pool(url, reserve, pooled)), pooled=pooled)
        except BaseException:
            common.terminate()
            raise

    async def run(
        self, name: str, *values: object, timeout: float, reserved: bool = False
    ) -> asyncpg.Record | None:
        """Run the statement ``name`` and return its first row.

        ``timeout`` seconds are allowed for a connection to come free, and again for the statement. When this
        raises anything but a plain refusal by the server, the statement may have been committed or not.
        """
        lender = self._reserved if reserved else self._common
        async with _Loan(lender, timeout, pooled=self._pooled) as connection:
            row: asyncpg.Record | None = await connection.fetchrow(sql(name), *values, timeout=timeout)
        return row

    async def rows(self, name: str, *values: object, timeout: float) -> list[asyncpg.Record]:
        """Run the statement ``name`` and return all its rows; otherwise as ``run``."""
        async with self.lent(timeout) as connection:
            found: list[asyncpg.Record] = await connection.fetch(sql(name), *values, timeout=timeout)
        return found

    @asynccontextmanager
    async def lent(self, timeout: float) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """Lend a connection for reading; ``timeout`` seconds are allowed for one to come free."""
        async with _Loan(self._common, timeout, pooled=self._pooled) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, timeout: float) -> AsyncIterator[Run]:
        """Give what runs statements, by name, in one transaction that is committed at the end.

        ``timeout`` seconds are allowed for a connection to come free, and again for all of it. When this
        raises, the transaction may have been committed or not.
        """
        # Whatever goes wrong ends the connection, and the transaction with it: nobody must go on with that.
        async with _Loan(self._common, timeout, ended_by=(BaseException,)) as connection:
            async with asyncio.timeout(timeout):
                transaction = connection.transaction(isolation="read_committed")
                await transaction.start()
                yield lambda name, *values: connection.fetchrow(sql(name), *values)
                await transaction.commit()

    async def close(self) -> None:
        """Close both pools: politely for a few seconds, then by force."""
        for lender in (self._common, self._reserved):
            try:
                async with asyncio.timeout(CLOSE_WAIT):
                    await lender.close()
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    raise
                lender.terminate()


class _Loan:
    """A connection for as long as the context lasts, which says in the end whether it can be lent again.

    ``pooled``: all of it is one transaction. The library asks for a statement's types first, and what runs it
    has to be the session that was asked: a pooler keeps to one while a transaction lasts.
    """

    def __init__(
        self,
        lender: Lender,
        timeout: float,
        # Postgres cancels whatever a backend is doing when the cancel request gets there, which may be the
        # next user's statement: never hand such a connection on.
        # (Nor one that asyncpg itself has lost its bearings with.)
        ended_by: tuple[type[BaseException], ...] = (
            asyncio.CancelledError,
            TimeoutError,
            asyncpg.InternalClientError,
        ),
        *,
        pooled: bool = False,
    ) -> None:
        self._lender = lender
        self._timeout = timeout
        # Where a transaction is open, whatever goes wrong ends the connection, and the transaction with it.
        self._ended_by = (BaseException,) if pooled else ended_by
        self._pooled = pooled
        self._lent: Lent | None = None
        self._transaction: asyncpg.transaction.Transaction | None = None

    async def __aenter__(self) -> asyncpg.pool.PoolConnectionProxy:
        self._lent = lent = await self._lender.take(self._timeout)
        if self._pooled:
            self._transaction = lent.connection.transaction(isolation="read_committed")
            try:
                async with asyncio.timeout(self._timeout):
                    await self._transaction.start()
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
            if self._transaction is not None and error is None:
                async with asyncio.timeout(self._timeout):
                    await self._transaction.commit()
        except BaseException as uncommitted:
            error = uncommitted
            raise
        finally:
            await self._end(lent, error)

    async def _end(self, lent: Lent, error: BaseException | None) -> None:
        not_replicated = lent.heard[0] if error is None and lent.heard else None
        try:
            if isinstance(error, ReadOnlySQLTransactionError):
                # We are connected to what has become a standby: all of the pool is.
                await self._lender.expire()
            if isinstance(error, self._ended_by):
                lent.connection.terminate()
        finally:
            await self._lender.give_back(lent)
        if not_replicated is not None:
            raise NotReplicated(not_replicated)


async def _pool(url: str, size: int, pooled: bool) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        url,
        connect=Dial(url),
        min_size=0,  # more, and asyncpg reconnects in a task of its own, whose errors nobody awaits
        max_size=size,
        timeout=CONNECT_TRY,
        server_settings=SETTINGS,
        reset=_leave_as_it_is,
        # What is prepared by name is in another session a moment later. 100 is the library's own default.
        statement_cache_size=0 if pooled else 100,
    )


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """No statement of ours changes the session, so the usual reset would be a round trip for nothing."""
