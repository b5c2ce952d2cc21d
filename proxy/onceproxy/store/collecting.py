"""Cleaning a database up on its own, without becoming an instance of it: what `onceproxy gc` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from onceproxy.store.connection import Connections, connect_patiently, describe
from onceproxy.store.errors import DatabaseUnreachable
from onceproxy.store.estimating import about_how_many
from onceproxy.store.outbox import forget_notices
from onceproxy.store.retention import Collected, collect
from onceproxy.store.schema import all_migrations, never_used, read_version
from onceproxy.store.sweeping import forget_instances, sweep

PAGE = 5000  # events removed in one transaction
PATIENCE = 60.0  # seconds for one page


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was done: ``lost`` claims of dead instances, what was collected; instances, notices removed."""

    lost: int
    collected: Collected
    instances: int
    notices: int


async def forget_events(
    url: str, older: float, told: Callable[[int], None], *, connect_timeout: float = 30.0
) -> int:
    """Remove events of the audit trail whose receipts are gone; return how many. For the owner of the tables.

    Args:
        url: the database.
        older: seconds that an event must be old.
        told: is called after each page, with how many are gone by then.
        connect_timeout: for how many seconds a connection is tried for.

    Raises:
        DatabaseUnreachable: no connection, or it may not be done.
        SchemaMissing, SchemaTooNew: the tables are not of this version.
    """
    connections = await _opened(url, connect_timeout)
    removed = 0
    try:
        while True:
            row = await connections.run("forget_events", timedelta(seconds=older), PAGE, timeout=PATIENCE)
            assert row is not None
            count: int = row["removed"]
            removed += count
            told(removed)
            if count < PAGE:
                return removed
    except asyncpg.InsufficientPrivilegeError as error:
        raise DatabaseUnreachable(
            f"{describe(url)} refuses it: the audit trail is its owner's; give the owner's name in --database"
        ) from error
    finally:
        await connections.close()


async def clean_database(
    url: str, *, connect_timeout: float = 30.0, told: Callable[[int, int | None], None] = lambda *_: None
) -> Cleaned:
    """Do at once all that proxies do from time to time. May run beside them.

    ``connect_timeout`` is for how many seconds a connection is tried for. ``told`` is called again and again:
    how many receipts were looked at, and of how many, if that is known. Raises what asyncpg raises.

    Raises:
        DatabaseUnreachable: no connection.
        SchemaMissing: there are no receipts of this version.
        SchemaTooNew: a newer version migrated the database.
    """
    connections = await _opened(url, connect_timeout)
    try:
        total = await about_how_many(connections)
        return Cleaned(
            lost=await sweep(connections),
            collected=await collect(connections, patiently=True, told=lambda looked: told(looked, total)),
            instances=await forget_instances(connections),
            notices=await forget_notices(connections),
        )
    finally:
        await connections.close()


async def _opened(url: str, connect_timeout: float) -> Connections:
    connection = await connect_patiently(url, connect_timeout)
    try:
        version = await read_version(connection)
    finally:
        connection.terminate()
    if version < len(all_migrations()):
        raise never_used(url)
    return await Connections.open(url, 2)
