"""Migrating a database on its own, without becoming an instance of it."""

from __future__ import annotations

from onceproxy.store.connection import connect_patiently
from onceproxy.store.schema import migrate, read_version


async def migrate_database(url: str, *, connect_timeout: float = 30.0) -> int:
    """Bring the schema at ``url`` up to date and return its version.

    ``connect_timeout`` is for how many seconds a connection is tried for.

    Raises:
        DatabaseUnreachable: no connection.
        SchemaMissing: the search_path names no schema that exists.
        SchemaTooNew: a newer version migrated it.
    """
    connection = await connect_patiently(url, connect_timeout)
    try:
        await migrate(connection)
        return await read_version(connection)
    finally:
        connection.terminate()
