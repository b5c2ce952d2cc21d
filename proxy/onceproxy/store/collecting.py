"""Cleaning a database up on its own, without becoming an instance of it: what `onceproxy gc` does."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.store.connection import Connections, connect_patiently
from onceproxy.store.outbox import forget_notices
from onceproxy.store.retention import Collected, collect
from onceproxy.store.schema import all_migrations, never_used, read_version
from onceproxy.store.sweeping import forget_instances, sweep


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was done: ``lost`` claims of dead instances, what was collected; instances, notices removed."""

    lost: int
    collected: Collected
    instances: int
    notices: int


async def clean_database(url: str, *, connect_timeout: float = 30.0) -> Cleaned:
    """Do at once all that proxies do from time to time. May run beside them.

    ``connect_timeout`` is for how many seconds a connection is tried for. Raises what asyncpg raises.

    Raises:
        DatabaseUnreachable: no connection.
        SchemaMissing: there are no receipts of this version.
        SchemaTooNew: a newer version migrated the database.
    """
    connection = await connect_patiently(url, connect_timeout)
    try:
        version = await read_version(connection)
    finally:
        connection.terminate()
    if version < len(all_migrations()):
        raise never_used(url)
    connections = await Connections.open(url, 2)
    try:
        return Cleaned(
            lost=await sweep(connections),
            collected=await collect(connections, patiently=True),
            instances=await forget_instances(connections),
            notices=await forget_notices(connections),
        )
    finally:
        await connections.close()
