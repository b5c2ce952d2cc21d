"""Connections to Postgres: the first one, made with patience, and the two pools of a running store.

Settlements have connections of their own, so that a flood of claims that wait for one another can't keep the
receipts of what has already happened from being written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg

from onceproxy.store.errors import (
    DATABASE_ERRORS,
    DatabaseUnreachable,
    is_outage,
    is_refusal,
)
from onceproxy.store.hosts import places, split_hosts
from onceproxy.store.lending import Lender
from onceproxy.store.loans import ENDING, Loan, end_loan
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
        row: asyncpg.Record | None
        if self._pooled or (lent := lender.take_kept()) is None:
            async with Loan(lender, timeout, pooled=self._pooled) as connection:
                row = await connection.fetchrow(sql(name), *values, timeout=timeout)
            return row
        # As a loan does, which costs as much as all else that we do for a small statement.
        try:
            row = await lent.connection.fetchrow(sql(name), *values, timeout=timeout)
        except BaseException as error:
            await end_loan(lender, lent, error, ENDING)
            raise
        if not lender.keep(lent):
            await end_loan(lender, lent, None, ENDING)
        return row

    async def rows(self, name: str, *values: object, timeout: float) -> list[asyncpg.Record]:
        """Run the statement ``name`` and return all its rows; otherwise as ``run``."""
        async with self.lent(timeout) as connection:
            found: list[asyncpg.Record] = await connection.fetch(sql(name), *values, timeout=timeout)
        return found

    @asynccontextmanager
    async def lent(self, timeout: float) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """Lend a connection for reading; ``timeout`` seconds are allowed for one to come free."""
        async with Loan(self._common, timeout, pooled=self._pooled) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, timeout: float) -> AsyncIterator[Run]:
        """Give what runs statements, by name, in one transaction that is committed at the end.

        ``timeout`` seconds are allowed for a connection to come free, and again for all of it. When this
        raises, the transaction may have been committed or not.
        """
        # Whatever goes wrong ends the connection, and the transaction with it: nobody must go on with that.
        async with Loan(self._common, timeout, ended_by=(BaseException,)) as connection:
            async with asyncio.timeout(timeout):
                await connection.execute(sql("begin"))
                yield lambda name, *values: connection.fetchrow(sql(name), *values)
                await connection.execute(sql("commit"))

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


async def _pool(url: str, size: int, pooled: bool) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        url,
        connect=Dial(url),
        min_size=0,  # more, and asyncpg reconnects in a task of its own, whose errors nobody awaits
        max_size=size,
        timeout=CONNECT_TRY,
        server_settings=SETTINGS,
        # A pooler's sessions are everybody's: there each transaction says so at its beginning.
        init=None if pooled else _limit_lock_waits,
        reset=_leave_as_it_is,
        # What is prepared by name is in another session a moment later. 100 is the library's own default.
        statement_cache_size=0 if pooled else 100,
    )


async def _limit_lock_waits(connection: asyncpg.Connection) -> None:
    """Let no statement of ours wait long for a row that somebody holds.

    It would keep what it has written already from everybody else, for as long as that takes: the end of our
    connection does not end the waiting. Not said while connecting: poolers refuse what they do not know.
    """
    await connection.execute(sql("limit_lock_waits"))


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """No statement of a loan changes the session, so the usual reset would be a round trip for nothing."""
