"""Lends a pool's connections: what was given back last is lent next, without asking the pool.

The pool makes two tasks for each loan, which takes as long as a small statement. So what comes back is kept
here, unless somebody waits for the pool to have one. The pool still makes, limits and closes connections.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg

KEPT = 60.0  # seconds that a connection may be kept unused; after that the pool decides how long it lives


class Lent:
    """A connection, and what the server says on it about standbys that were not waited for."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        self.heard: list[str] = []
        self.back_at = 0.0
        connection.add_log_listener(self._hear)

    @property
    def is_closed(self) -> bool:
        """Whether it is of no more use."""
        try:
            return self.connection.is_closed()
        except asyncpg.InterfaceError:
            return True  # it was terminated, and the pool has it back

    def let_go(self) -> None:
        """Stop listening, so that the pool can have the connection."""
        with suppress(asyncpg.InterfaceError):  # it was terminated
            self.connection.remove_log_listener(self._hear)

    def _hear(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        if _is_about_standbys(message):
            self.heard.append(str(message))


class Lender:
    """Lends the connections of one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._kept: list[Lent] = []
        self._waiting = 0  # for the pool
        self._closing = False
        self._generation = 0
        self._clock = asyncio.get_running_loop().time

    def take_kept(self) -> Lent | None:
        """Return a connection that is kept here; None: it is to be taken as ``take`` does."""
        return self._kept.pop() if self._kept and not self._kept[-1].is_closed else None

    def keep(self, lent: Lent) -> bool:
        """Keep what was lent and was used as it should be; False: it is to be given back."""
        if lent.generation != self._generation or self._waiting or self._closing or lent.is_closed:
            return False
        now = self._clock()
        if lent.heard or (self._kept and self._kept[0].back_at < now - KEPT):
            return False
        lent.back_at = now
        self._kept.append(lent)
        return True

    async def take(self, timeout: float) -> Lent:
        """Return a connection that is no one else's; wait ``timeout`` seconds for one to come free.

        Raises what asyncpg raises.
        """
        while self._kept:
            lent = self._kept.pop()
            if not lent.is_closed:
                return lent
            await self._give_up(lent)
        self._waiting += 1
        try:
            return Lent(await self._pool.acquire(timeout=timeout), self._generation)
        finally:
            self._waiting -= 1

    async def give_back(self, lent: Lent) -> None:
        """Take back what was lent, whatever became of it."""
        lent.heard.clear()
        while self._kept and self._kept[0].back_at < self._clock() - KEPT:
            await self._give_up(self._kept.pop(0))
        if not self.keep(lent):
            await self._give_up(lent)

    async def expire(self) -> None:
        """Use no connection again that is open now: those that are lent are closed when they come back."""
        self._generation += 1
        await self._pool.expire_connections()
        await self._give_up_all()

    async def close(self) -> None:
        """Close all connections, when they have come back. Raises what asyncpg raises."""
        self._closing = True
        await self._give_up_all()
        await self._pool.close()

    def terminate(self) -> None:
        """Close all connections at once."""
        self._pool.terminate()

    async def _give_up_all(self) -> None:
        while self._kept:
            await self._give_up(self._kept.pop())

    async def _give_up(self, lent: Lent) -> None:
        lent.let_go()
        await self._pool.release(lent.connection)


def _is_about_standbys(message: asyncpg.PostgresLogMessage) -> bool:
    """Say whether the wait for a synchronous standby was cancelled, which is but a warning to Postgres."""
    # By the place in Postgres's source that says so: the words are in the server's language.
    return getattr(message, "server_source_filename", None) == "syncrep.c"
