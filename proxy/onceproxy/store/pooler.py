"""A pooler between us and the database, such as PgBouncer in transaction mode.

It gives each transaction whichever session is free, so nothing may be left behind in one: no statement is
prepared by name, none changes a setting but for its transaction, and no lock outlives it. Only the connection
that listens for news, and the migration at the start, go past it.
"""

from __future__ import annotations

from onceproxy.sealing.keyring import Keyring
from onceproxy.store.connection import Connections
from onceproxy.store.durability import judge_server
from onceproxy.store.errors import SchemaMissing
from onceproxy.store.shared_key import NAME, open_shared_key

TRY = 5.0  # seconds for one statement


async def opened(
    url: str, size: int, key: bytes | None, keyring: Keyring, *, allow_unsafe_durability: bool
) -> Connections:
    """Open at most ``size`` connections to ``url``.

    ``key``: it leads to a pooler, and this is the shared key that was read past it. Raises what asyncpg
    raises, and what ``check_pooler`` does.
    """
    connections = await Connections.open(url, size, pooled=key is not None)
    try:
        if key is not None:
            await check_pooler(connections, key, keyring, allow_unsafe_durability=allow_unsafe_durability)
    except BaseException:
        await connections.close()
        raise
    return connections


async def check_pooler(
    connections: Connections, key: bytes, keyring: Keyring, *, allow_unsafe_durability: bool
) -> None:
    """Make sure that a pooler leads to where ``key``, the shared one, was read past it.

    Its sessions may have other settings than one that goes past it. Raises what asyncpg raises.

    Raises:
        SchemaMissing: it leads to another database.
        UnsafeDurability: its sessions may forget commits, and that was not allowed.
    """
    row = await connections.run("read_server", timeout=TRY)
    assert row is not None
    judge_server(row, allow_unsafe_durability=allow_unsafe_durability)
    found = await connections.run("find_versions", timeout=TRY)
    assert found is not None
    there = await connections.run("read_key", NAME, timeout=TRY) if found["present"] else None
    if open_shared_key(there, keyring) != key:
        raise SchemaMissing(
            "`database` and `database_direct` lead to two databases, or to two schemas of one: they have to "
            "be the same one, by way of the pooler and past it"
        )
